"""Closed forms and known numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_core.losses import bernoulli_nll, gaussian_kl, gaussian_nll, optimal_variance

finite = st.floats(-5, 5)


@given(mu=finite, logvar=finite)
def test_gaussian_kl_is_that_of_torch_distributions(mu: float, logvar: float) -> None:
    mean, scale = torch.tensor([[mu]]).double(), torch.tensor([[logvar]]).double()
    expected = kl_divergence(Normal(mean, (0.5 * scale).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, scale), expected)


def test_gaussian_kl_known_numbers() -> None:
    # The prior itself; a mean one deviation away; a doubled deviation (½(4 − 1 − ln 4)).
    mu = torch.tensor([[0.0, 1.0, 0.0]])
    logvar = torch.tensor([[0.0, 0.0, math.log(4.0)]])
    expected = torch.tensor([[0.0, 0.5, 0.5 * (3 - math.log(4.0))]])
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)


def test_bernoulli_nll_sums_pixels_and_not_images() -> None:
    # An undecided pixel costs ln 2 whatever its value.
    nll = bernoulli_nll(torch.zeros(3, 1, 4, 5), torch.rand(3, 1, 4, 5))
    torch.testing.assert_close(nll, torch.full((3,), 20 * math.log(2.0)))


def test_bernoulli_nll_is_that_of_torch_distributions() -> None:
    logits, x = torch.randn(2, 3, 8, 8), torch.randint(0, 2, (2, 3, 8, 8)).float()
    expected = -Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_nll(logits, x), expected)


@pytest.mark.parametrize("sigma", [0.05, 0.3081, 1.0])
def test_gaussian_nll_is_that_of_torch_distributions(sigma: float) -> None:
    mean, x = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    expected = -Normal(mean, sigma).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_nll(mean, x, sigma**2), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("variance", [0.25, torch.tensor(0.25)])
def test_gaussian_nll_counts_the_pixels_that_are_not_masked(variance: float | torch.Tensor) -> None:
    mean, x = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :5], mask[1, :, :, 2:] = 1, 1
    expected = (-Normal(mean, 0.5).log_prob(x) * mask).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_nll(mean, x, variance, mask), expected)


def test_optimal_variance_is_where_the_likelihood_peaks() -> None:
    mean, x = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    best = float(optimal_variance(mean, x))
    at_best = gaussian_nll(mean, x, best).mean()
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert gaussian_nll(mean, x, best * factor).mean() > at_best


def test_detached_optimal_variance_keeps_the_gradient() -> None:
    """d/dθ of ½·P·log MSE(θ) equals the gradient with σ² = MSE held fixed (Rybkin et al. 2021)."""
    x = torch.rand(4, 1, 8, 8).double()
    mean = torch.rand(4, 1, 8, 8).double().requires_grad_()
    gaussian_nll(mean, x, optimal_variance(mean, x)).mean().backward()
    assert mean.grad is not None
    detached, mean.grad = mean.grad.clone(), None
    (0.5 * 64 * (x - mean).square().mean().log()).backward()
    torch.testing.assert_close(detached, mean.grad)
