"""The parts of the KL against closed forms and against counting everything out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from vae_core.families.beta_tcvae import decomposition
from vae_core.losses.minibatch import stratified, weighted


def posteriors(images: int, dims: int) -> tuple[Tensor, Tensor, Tensor]:
    """(z, mu, logvar) of some posteriors with a draw from each."""
    torch.manual_seed(0)
    mu, logvar = torch.randn(images, dims).double(), torch.randn(images, dims).double() - 1
    return Normal(mu, (0.5 * logvar).exp()).sample(), mu, logvar


def everything(images: int) -> Tensor:
    """The log weights with which a batch of all images is q(z) itself."""
    return torch.full((images, images), -math.log(images)).double()


@pytest.mark.parametrize("estimator", [weighted, stratified])
def test_the_parts_add_up_to_the_kl_of_the_draw(estimator: object) -> None:
    z, mu, logvar = posteriors(7, 3)
    parts = decomposition(z, mu, logvar, estimator(7, 100).double())  # type: ignore[operator]
    draw = Normal(mu, (0.5 * logvar).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    torch.testing.assert_close(sum(parts), draw.sum(1))


def test_against_torch_distributions_written_out() -> None:
    z, mu, logvar = posteriors(5, 2)
    mi, tc, dwkl = decomposition(z, mu, logvar, everything(5))
    for i in range(5):
        one = Normal(mu, (0.5 * logvar).exp())
        at_draw = one.log_prob(z[i]).exp()  # [posterior, D]
        q_z, q_each = at_draw.prod(1).mean(), at_draw.mean(0)
        p_z = Normal(0.0, 1.0).log_prob(z[i]).exp().prod()
        torch.testing.assert_close(mi[i], (at_draw[i].prod() / q_z).log())
        torch.testing.assert_close(tc[i], (q_z / q_each.prod()).log())
        torch.testing.assert_close(dwkl[i], (q_each.prod() / p_z).log())


def test_independent_codes_have_no_total_correlation() -> None:
    torch.manual_seed(1)
    mu = torch.randn(2000, 2)
    logvar = torch.full_like(mu, math.log(0.25))
    z = mu + 0.5 * torch.randn_like(mu)
    _, tc, _ = decomposition(z, mu, logvar, everything(2000))
    assert abs(float(tc.mean())) < 0.05


@pytest.mark.parametrize("variance", [1.0, 0.25])
def test_copied_codes_have_the_closed_form(variance: float) -> None:
    """Two codes with one mean from N(0, 1): correlation ρ = 1/(1 + σ²), TC = −½ log(1 − ρ²)."""
    torch.manual_seed(2)
    mu = torch.randn(2000, 1).expand(-1, 2)
    logvar = torch.full_like(mu, math.log(variance))
    z = mu + variance**0.5 * torch.randn(2000, 2)
    _, tc, _ = decomposition(z, mu, logvar, everything(2000))
    expected = -0.5 * math.log(1 - (1 / (1 + variance)) ** 2)
    assert float(tc.mean()) == pytest.approx(expected, abs=0.05)


def test_stratified_sampling_is_unbiased_over_all_batches() -> None:
    """Every ordered batch of 3 out of 5 images that begins with image 0, counted out."""
    z, mu, logvar = posteriors(5, 2)
    density = Normal(mu, (0.5 * logvar).exp()).log_prob(z[0]).sum(1).exp()
    estimates = []
    for others in itertools.permutations(range(1, 5), 2):
        weights = stratified(3, 5).exp().double()[0]
        estimates.append((weights * density[[0, *others]]).sum())
    torch.testing.assert_close(torch.stack(estimates).mean(), density.mean())
    torch.testing.assert_close(stratified(3, 5).exp().sum(1), torch.ones(3))


def test_weighted_sampling_weighs_all_alike() -> None:
    torch.testing.assert_close(weighted(4, 50).exp(), torch.full((4, 4), 1 / 200))


def test_a_batch_of_one_stands_for_itself() -> None:
    z, mu, logvar = posteriors(1, 3)
    mi, tc, _ = decomposition(z, mu, logvar, stratified(1, 50).double())
    torch.testing.assert_close(mi, torch.zeros_like(mi))
    torch.testing.assert_close(tc, torch.zeros_like(tc))
