"""The aggregated posterior against the prior, on posteriors that are constructed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from vae_core.errors import UserError
from vae_core.metrics import aggregated
from vae_core.metrics.aggregated import (
    aggregated_histogram,
    correlations,
    describe_dimensions,
    unlike_prior,
    verdict,
)
from vae_core.models.posterior import GaussianMixture

N = 4000


def posterior(deviations: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Means that vary so much that means and widths together make N(0, 1)."""
    spread = np.asarray(deviations)
    normal = np.random.default_rng(seed).normal(size=(N, len(spread)))
    normal = (normal - normal.mean(0)) / normal.std(0)
    logvar = np.log(np.maximum(1 - spread**2, 1e-6)) * np.ones((N, 1))
    return (normal * spread).astype(np.float32), logvar.astype(np.float32)


def test_moments_and_kl_of_constructed_posteriors() -> None:
    mu, logvar = posterior([0.9, 0.5, 0.05, 0.0])
    found = describe_dimensions(mu + np.float32([0, 1, 0, 0]), logvar)
    np.testing.assert_allclose(found.mean, [0, 1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found.variance, [0.81, 0.25, 0.0025, 0], atol=1e-5)
    np.testing.assert_allclose(found.sigma, np.sqrt([0.19, 0.75, 0.9975, 1]), rtol=1e-4)
    np.testing.assert_allclose(found.aggregated_variance, 1, rtol=1e-4)
    # ½(μ² + σ² − 1 − log σ²), averaged: the μ² of a shifted dimension holds its mean too.
    expected = 0.5 * (np.array([0, 1, 0, 0]) - np.log([0.19, 0.75, 0.9975, 1]))
    np.testing.assert_allclose(found.kl, expected, atol=1e-4)
    # Burda: the variance of the means exceeds 0.01, here by 0.81 and 0.25, not by 0.0025.
    assert found.active.tolist() == [True, True, False, False]


@pytest.mark.parametrize("deviation", [0.0, 0.3, 0.999])
def test_the_histogram_of_a_mixture_that_is_the_prior_is_the_prior(deviation: float) -> None:
    mu, logvar = posterior([deviation])
    found = aggregated_histogram(mu[:, 0], logvar[:, 0])
    width = np.diff(found.edges)
    np.testing.assert_allclose(found.prior, np.diff(norm.cdf(found.edges)) / width)
    # What N means leave to chance, most where posteriors are narrower than a bin: four standard
    # errors of the share of a bin.
    error = 4 * np.sqrt(found.prior.max() / width[0] / N)
    assert np.abs(found.posterior - found.prior).max() < (error if deviation else 1e-3)
    assert (found.posterior * width).sum() + found.outside == pytest.approx(1)


def test_the_histogram_is_exact_and_misses_no_narrow_posterior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aggregated, "IMAGES_A_BLOCK", 2)
    mu = np.array([0.513, -1.0, 9.0], np.float32)
    logvar = np.log(np.array([1e-8, 0.25, 1e-8], np.float32))
    found = aggregated_histogram(mu, logvar, reach=2, bins=8)
    expected = (np.diff(norm.cdf(found.edges, -1, 0.5)) + np.eye(8)[5]) / 3 / 0.5
    np.testing.assert_allclose(found.posterior, expected, atol=1e-6)
    assert found.outside == pytest.approx((1 + 2 * norm.cdf(-2) / 2) / 3, abs=0.01)
    counted = aggregated_histogram(mu, None, reach=2, bins=8)
    np.testing.assert_allclose(counted.posterior * 0.5 * 3, np.eye(8)[5] + np.eye(8)[2])


def test_correlations_are_pearsons_and_constant_dimensions_have_none() -> None:
    random = np.random.default_rng(0)
    mu = random.normal(size=(300, 4)) @ random.normal(size=(4, 4))
    np.testing.assert_allclose(correlations(mu), np.corrcoef(mu.T), atol=1e-12)
    mu[:, 2] = 7.0
    found = correlations(mu)
    assert found[2].tolist() == [0, 0, 1, 0] and np.isfinite(found).all()


@pytest.mark.parametrize(
    ("deviations", "shift", "sentence"),
    [
        ([0.9, 0.9, 0.9, 0.0], 0.0, "3 of 4 dimensions are active. All of them fill the prior"),
        ([0.9, 0.9, 0.9, 0.0], 0.0, "β is in balance"),
        ([0.9, 0.9, 0.9, 0.9], 0.0, "more dimensions might carry more"),
        ([0.9, 0.0, 0.0, 0.0], 0.0, "a smaller β would use more"),
        ([0.9, 0.9, 0.9, 0.0], 3.0, "3 of them do not look like N(0, 1)"),
        ([0.9, 0.9, 0.9, 0.0], 3.0, "a larger β draws them together"),
        ([0.0, 0.01, 0.0, 0.0], 0.0, "collapsed; train with a smaller β"),
    ],
)
def test_the_sentence_says_what_to_do_with_beta(
    deviations: list[float], shift: float, sentence: str
) -> None:
    mu, logvar = posterior(deviations)
    assert sentence in verdict(describe_dimensions(mu + np.float32(shift), logvar))


def mixture(*means: float, width: float = 0.5, dims: int = 3) -> GaussianMixture:
    mu = torch.tensor(means)[:, None].expand(-1, dims)
    return GaussianMixture(mu, torch.full_like(mu, 2 * float(np.log(width))))


def test_a_learned_prior_is_what_codes_are_compared_with() -> None:
    """Codes that lie exactly where their prior does: far from N(0, 1), and just right."""
    prior, random = mixture(-3.0, 3.0), np.random.default_rng(0)
    mu = random.choice([-3.0, 3.0], size=(N, 3)) + 0.4 * random.normal(size=(N, 3))
    logvar = np.full((N, 3), 2 * np.log(0.3), np.float32)
    found = describe_dimensions(mu, logvar, prior)
    assert found.kl is None and not unlike_prior(found).any()
    assert "All of them fill the prior well" in verdict(found)
    assert unlike_prior(describe_dimensions(mu, logvar)).all()
    moved = describe_dimensions(mu + 5, logvar, prior)
    assert "do not look like the learned prior" in verdict(moved)
    columns = (prior.mu[:, 0].numpy(), prior.logvar[:, 0].numpy())
    drawn = aggregated_histogram(mu[:, 0], logvar[:, 0], 6.0, 24, columns)
    expected = np.mean([norm.cdf(drawn.edges, centre, 0.5) for centre in (-3, 3)], axis=0)
    np.testing.assert_allclose(drawn.prior, np.diff(expected) / 0.5, atol=1e-7)
    np.testing.assert_allclose(drawn.posterior, drawn.prior, atol=0.02)


def test_points_with_a_prior_are_compared_with_it_without_a_word_of_beta() -> None:
    """A Wasserstein autoencoder: no widths, no KL, and yet N(0, I) to fill."""
    standard = GaussianMixture(torch.zeros(1, 2), torch.zeros(1, 2))
    mu, _ = posterior([0.999, 0.999])
    said = verdict(describe_dimensions(mu, None, standard))
    assert said == "2 of 2 dimensions are active. All of them fill the prior well."


def test_an_autoencoder_has_no_kl_and_a_diverged_one_no_picture() -> None:
    mu, _ = posterior([3.0, 3.0])
    found = describe_dimensions(mu, None)
    assert found.kl is None and found.sigma.tolist() == [0, 0]
    assert "no KL" in verdict(found) and "standard deviation of 3 " in verdict(found)
    assert unlike_prior(found).all()
    mu[0, 0] = np.nan
    with pytest.raises(UserError, match="diverged"):
        verdict(describe_dimensions(mu, None))
