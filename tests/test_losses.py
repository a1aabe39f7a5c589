"""Closed forms and known numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_core.losses import bernoulli_nll, gaussian_kl, gaussian_nll, optimal_variance
from vae_core.losses.conventions import (
    beta_from_mse_mean_kl_mean,
    beta_from_mse_mean_kl_sum,
    mse_mean_kl_mean_weight,
    mse_mean_kl_sum_weight,
)

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


def test_course_beta() -> None:
    """w = 0.1, L = 5, P = 784, σ = s = 0.3081: 0.1 · 784 / 10 = 7.84."""
    assert beta_from_mse_mean_kl_mean(0.1, 784, 5, sigma=0.3081, pixel_std=0.3081) == (
        pytest.approx(7.84)
    )
    assert beta_from_mse_mean_kl_sum(0.1, 784, sigma=0.5) == pytest.approx(156.8)


@given(beta=st.floats(1e-3, 1e3), values=st.integers(64, 20_000), latents=st.integers(1, 512))
def test_conventions_are_inverses(beta: float, values: int, latents: int) -> None:
    weight = mse_mean_kl_mean_weight(beta, values, latents, sigma=0.3)
    assert beta_from_mse_mean_kl_mean(weight, values, latents, sigma=0.3) == pytest.approx(beta)
    weight = mse_mean_kl_sum_weight(beta, values, sigma=0.3, pixel_std=0.5)
    assert beta_from_mse_mean_kl_sum(weight, values, sigma=0.3, pixel_std=0.5) == (
        pytest.approx(beta)
    )


def test_convention_is_proportional_to_the_tutorial_loss() -> None:
    """The product's loss is the tutorial's, times P·s²/(2σ²), plus a constant: measured."""
    std, weight, latents = 0.25, 0.3, 7
    x, mean = torch.rand(2, 6, 3, 8, 8).double()
    mu, logvar = torch.randn(2, 6, latents).double()
    kl = gaussian_kl(mu, logvar)

    def difference(scale: float) -> float:
        other = mean * scale
        tutorial = ((x - other) / std).square().mean() + weight * kl.mean() * scale
        beta = beta_from_mse_mean_kl_mean(weight, 192, latents, sigma=0.1, pixel_std=std)
        ours = (gaussian_nll(other, x, 0.1**2) + beta * kl.sum(1) * scale).mean()
        return float(ours - tutorial * 192 * std**2 / (2 * 0.1**2))

    assert difference(1.0) == pytest.approx(difference(0.5))
