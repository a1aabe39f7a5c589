"""Posteriors against torch's distributions: divergences, and the moments of their draws."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from vae_core.families.full_covariance import FullCovariance, FullCovariancePosterior
from vae_core.families.spatial_vae import SpatialGaussian
from vae_core.models.posterior import (
    DiagonalGaussian,
    GaussianMixture,
    GaussianPosterior,
    PointPosterior,
)

ANYTHING = (-30.0, 20.0)


def correlated(batch: int = 3, dims: int = 4) -> FullCovariancePosterior:
    torch.manual_seed(0)
    below = torch.randn(batch, dims, dims, dtype=torch.double).tril(-1)
    factor = below + torch.diag_embed(torch.rand(batch, dims, dtype=torch.double) + 0.3)
    return FullCovariancePosterior(torch.randn(batch, dims, dtype=torch.double), factor)


def test_full_covariance_kl_adds_up_to_the_closed_form() -> None:
    posterior = correlated()
    q = MultivariateNormal(posterior.mu, scale_tril=posterior.factor)
    p = MultivariateNormal(torch.zeros_like(posterior.mu), torch.eye(4, dtype=torch.double))
    torch.testing.assert_close(posterior.kl().sum(1), kl_divergence(q, p))


def test_full_covariance_kl_of_a_dimension_is_what_it_adds() -> None:
    """The first k entries are the divergence of the first k dimensions by themselves."""
    posterior = correlated()
    for k in range(1, 5):
        q = MultivariateNormal(posterior.mu[:, :k], scale_tril=posterior.factor[:, :k, :k])
        p = MultivariateNormal(torch.zeros(k).double(), torch.eye(k, dtype=torch.double))
        torch.testing.assert_close(posterior.kl()[:, :k].sum(1), kl_divergence(q, p))
    assert (posterior.kl() >= 0).all()


def test_full_covariance_without_correlations_is_the_diagonal_one() -> None:
    mu, logvar = torch.randn(5, 3), torch.randn(5, 3)
    full = FullCovariancePosterior(mu, torch.diag_embed((0.5 * logvar).exp()))
    torch.testing.assert_close(full.kl(), GaussianPosterior(mu, logvar).kl())
    torch.testing.assert_close(full.log_variance(), logvar)


def test_draws_have_the_moments_of_the_posterior() -> None:
    one = correlated(1, 3)
    many = FullCovariancePosterior(
        one.mu.expand(40_000, -1), one.factor.expand(40_000, -1, -1)
    ).sample(torch.Generator().manual_seed(0))
    covariance = (one.factor @ one.factor.mT)[0]
    torch.testing.assert_close(many.mean(0), one.mu[0], atol=0.03, rtol=0)
    torch.testing.assert_close(many.T.cov(), covariance, atol=0.08, rtol=0)
    torch.testing.assert_close(many.var(0).log(), one.log_variance()[0], atol=0.04, rtol=0)


def test_gaussians_on_maps_have_one_divergence_for_each_number() -> None:
    mu, logvar = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    kl = GaussianPosterior(mu, logvar).kl()
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).flatten(1)
    assert kl is not None
    torch.testing.assert_close(kl, expected)


def priors(components: int) -> GaussianMixture:
    torch.manual_seed(1)
    return GaussianMixture(*torch.randn(2, components, 4, dtype=torch.double))


def test_the_density_is_that_of_torch() -> None:
    """On maps as well, whose dimensions are summed over."""
    full, z = correlated(), torch.randn(2, 3, 4, dtype=torch.double)
    expected = MultivariateNormal(full.mu, scale_tril=full.factor).log_prob(z)
    torch.testing.assert_close(full.log_prob(z), expected)
    mu, logvar, z = torch.randn(3, 2, 4, 5), torch.randn(3, 2, 4, 5), torch.randn(6, 3, 2, 4, 5)
    expected = Normal(mu, (0.5 * logvar).exp()).log_prob(z).flatten(2).sum(2)
    torch.testing.assert_close(GaussianPosterior(mu, logvar).log_prob(z), expected)


def test_the_divergence_from_another_gaussian_has_a_closed_form() -> None:
    prior, full = priors(1), correlated()
    p = Normal(prior.mu[0], (0.5 * prior.logvar[0]).exp())
    diagonal = GaussianPosterior(full.mu, full.log_variance())
    q = Normal(diagonal.mu, (0.5 * diagonal.logvar).exp())
    torch.testing.assert_close(diagonal.kl(prior), kl_divergence(q, p))
    on_maps = GaussianPosterior(full.mu.view(3, 1, 2, 2), diagonal.logvar.view(3, 1, 2, 2))
    torch.testing.assert_close(on_maps.kl(prior), kl_divergence(q, p))
    tilted = MultivariateNormal(full.mu, scale_tril=full.factor)
    whole = kl_divergence(tilted, MultivariateNormal(p.mean, covariance_matrix=p.variance.diag()))
    found = full.kl(prior)
    assert found is not None
    torch.testing.assert_close(found.sum(1), whole)
    standard = GaussianMixture.standard_normal(4)
    assert torch.equal(full.kl(standard), full.kl()) and standard.standard


@pytest.mark.parametrize("components", [1, 3])
def test_the_divergence_is_the_mean_over_its_draws(components: int) -> None:
    """Exact for one Gaussian, with a standard error for a mixture of several; tilted or not."""
    prior, full = priors(components), correlated()
    for posterior in (full, GaussianPosterior(full.mu, full.log_variance())):
        assert (posterior.kl(prior) is None) == (components > 1)
        draws = posterior.kl_draws(1000, prior, torch.Generator().manual_seed(0))
        error = draws.std(0) / 1000**0.5
        value, told = posterior.divergence(prior, torch.Generator().manual_seed(1))
        assert (told is None) == (components == 1)
        assert ((value - draws.mean(0)).abs() < 4 * (error if told is None else told)).all()


def test_points_have_no_divergence() -> None:
    point = PointPosterior(torch.randn(3, 4))
    assert point.kl() is None and point.divergence() is None and point.log_variance() is None


def test_the_same_generator_draws_the_same() -> None:
    posterior = correlated()
    first, second = (posterior.sample(torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, posterior.sample(torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("limits", [(-10.0, 10.0), (-2.0, 0.5)])
def test_log_variances_stay_in_their_range(limits: tuple[float, float]) -> None:
    features = 1e4 * torch.randn(64, 8)
    diagonal = DiagonalGaussian(8, 3, "logvar", limits)(features)
    assert (diagonal.logvar.min(), diagonal.logvar.max()) == limits
    on_maps = SpatialGaussian(8, 3, limits)(features.view(64, 8, 1, 1))
    assert (on_maps.logvar.min(), on_maps.logvar.max()) == limits
    full = FullCovariance(8, 3, limits)(features)
    logs = 2 * full.factor.detach().diagonal(dim1=1, dim2=2).log()
    torch.testing.assert_close((float(logs.min()), float(logs.max())), limits)


def test_the_factor_is_triangular_and_every_entry_has_its_weight() -> None:
    bottleneck = FullCovariance(8, 4, ANYTHING)
    features = torch.randn(2, 8)
    posterior = bottleneck(features)
    assert (posterior.factor.triu(1) == 0).all()
    assert (posterior.factor.diagonal(dim1=1, dim2=2) > 0).all()
    expected = bottleneck.below(features)
    rows, columns = torch.tril_indices(4, 4, -1)
    assert torch.equal(posterior.factor[:, rows, columns], expected)
