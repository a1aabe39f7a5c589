"""The published protocol on constructed codes: the factors, permuted, turned, twice, and noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from vae_core.metrics.disentanglement import (
    Points,
    Widths,
    density_gaps,
    modularity,
    published_scores,
)
from vae_core.metrics.disentanglement.dci import dci_boosted
from vae_core.metrics.disentanglement.factor_vae import factor_vae_published
from vae_core.metrics.disentanglement.mig import binned_gaps
from vae_core.metrics.disentanglement.mig_density import mixture_entropy
from vae_core.metrics.disentanglement.sap import sap_by_svm

RNG = np.random.default_rng(0)
SIZES = (2, 4, 5)
KNOWN, UNSEEN = (np.stack([RNG.integers(0, n, count) for n in SIZES], 1) for count in (1000, 500))
NOISE = RNG.normal(size=(1500, 3))
ROUNDS = 8
WIDTH = 0.05


def codes(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the images to learn from and of those to test on."""
    every = np.concatenate([KNOWN, UNSEEN]).astype(float)
    every = (every - every.mean(0)) / every.std(0)
    angle = np.pi / 4
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    found = {
        "perfect": every,
        "permuted": every[:, [2, 0, 1]] * [-2.0, 3.0, 1.0],
        "turned": every @ turn,
        "twice": np.concatenate([every, every], 1),
        "noise": NOISE,
    }[kind]
    return found[: len(KNOWN)], found[len(KNOWN) :]


@cache
def scores(kind: str) -> dict[str, float]:
    known, unseen = codes(kind)
    draws = known + WIDTH * np.random.default_rng(1).normal(size=known.shape)
    widths = Widths(np.full_like(known, 2 * np.log(WIDTH)), draws)
    points = Points(known, KNOWN), Points(unseen, UNSEEN)
    return published_scores(*points, widths, rounds=ROUNDS).scores


@pytest.mark.parametrize("kind", ["perfect", "permuted"])
def test_codes_that_are_the_factors(kind: str) -> None:
    found = scores(kind)
    for name in ("modularity", "factor_vae", "beta_vae"):
        assert found[name] > 0.99, name
    for name in ("mig_means", "mig_samples"):
        assert found[name] > 0.98, name
    for part in ("disentanglement", "completeness", "informativeness"):
        assert found[f"dci_{part}"] > 0.97, part


def test_codes_that_are_turned() -> None:
    """Two of three factors are spread over two latents each: about a third is left of a gap."""
    found, straight = scores("turned"), scores("perfect")
    for name in ("mig_means", "mig_samples", "sap", "dci_disentanglement", "dci_completeness"):
        assert found[name] < straight[name] - 0.1, name
    assert found["dci_informativeness"] > 0.95
    assert found["modularity"] < 0.95


def test_codes_that_hold_every_factor_twice() -> None:
    """No gap is left, and completeness falls; each latent still stands for one factor."""
    found = scores("twice")
    assert found["mig_means"] == pytest.approx(0.0, abs=1e-9)
    assert found["mig_samples"] == pytest.approx(0.0, abs=0.02)
    assert found["sap"] == pytest.approx(0.0, abs=1e-9)
    assert found["modularity"] > 0.99 and found["dci_disentanglement"] > 0.97
    assert found["dci_completeness"] < found["dci_disentanglement"]


def test_noise() -> None:
    found = scores("noise")
    guess = 1 / len(SIZES)
    assert found["factor_vae"] < guess + 0.12 and found["beta_vae"] < guess + 0.12
    assert found["mig_means"] < 0.03 and found["mig_samples"] < 0.05 and found["sap"] < 0.1
    assert found["dci_disentanglement"] < 0.2


def test_sap_of_a_factor_of_two_values_is_one_half() -> None:
    """The best latent tells it, the others guess one of two."""
    known, unseen = codes("perfect")
    told = sap_by_svm(Points(known, KNOWN[:, :1]), Points(unseen, UNSEEN[:, :1]))
    assert told == pytest.approx(0.5, abs=0.04)


def test_entropies_of_gaussians_and_of_their_mixtures() -> None:
    generator = torch.Generator().manual_seed(0)
    for deviation, within in ((1.0, 0.5), (3.0, 0.1)):
        mu = deviation * torch.randn(4000, generator=generator)
        logvar = torch.full_like(mu, 2 * float(np.log(within)))
        z = mu + within * torch.randn(4000, generator=generator)
        expected = 0.5 * np.log(2 * np.pi * np.e * (deviation**2 + within**2))
        assert mixture_entropy(z, mu, logvar) == pytest.approx(expected, abs=0.04)
    one = mixture_entropy(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    assert one == pytest.approx(0.5 * np.log(2 * np.pi))


def test_the_gap_of_draws_has_a_closed_form() -> None:
    """z = v + 0.5 ε of a factor of two values at ±1: I(z; v) = H(z) − H(ε/2), by quadrature."""
    random = np.random.default_rng(0)
    v = random.integers(0, 2, 3000)
    mu = np.stack([2.0 * v - 1, np.zeros(3000)], 1)
    logvar = np.full_like(mu, 2 * np.log(0.5))
    draws = mu + 0.5 * random.normal(size=mu.shape)
    grid = np.linspace(-5, 5, 20_001)
    q = sum(np.exp(-2 * (grid - m) ** 2) / np.sqrt(np.pi / 2) / 2 for m in (-1, 1))
    entropy = -(q * np.log(q)).sum() * (grid[1] - grid[0])
    expected = (entropy - 0.5 * np.log(2 * np.pi * np.e * 0.25)) / np.log(2)
    told = density_gaps(mu, logvar, draws, v[:, None])
    assert told == pytest.approx([expected], abs=0.03)


def test_modularity_by_hand() -> None:
    """A latent that tells of two factors alike is half modular among three, one of one factor
    wholly, one of none not at all."""
    a, b, c = np.meshgrid(range(4), range(4), range(4), indexing="ij")
    factors = np.stack([a.ravel(), b.ravel(), c.ravel()], 1)
    both = 4 * factors[:, 0] + factors[:, 1]  # 16 values, of which each factor tells log 4
    latents = np.stack([both, factors[:, 2], np.zeros(64)], 1).astype(float)
    assert modularity(latents, factors) == pytest.approx((0.5 + 1 + 0) / 3)
    assert modularity(latents, factors[:, 2:]) == pytest.approx(1 / 3)


def test_a_dimension_of_little_variance_has_no_vote() -> None:
    known, unseen = codes("perfect")
    small = 0.2 * np.ones(3)
    for_all = Points(known * small, KNOWN), Points(unseen * small, UNSEEN)
    assert factor_vae_published(*for_all, 100, 100) == 0.0
    one = np.array([1.0, 0.2, 0.2])
    told = factor_vae_published(Points(known * one, KNOWN), Points(unseen * one, UNSEEN), 300, 300)
    assert told == pytest.approx(1 / 3, abs=0.1)


def test_bins_are_not_mended_for_chance() -> None:
    """Noise of 20 bins tells (20 − 1)(n − 1) / 2N nats of a factor of n values, and all of it
    counts: what the quick score takes off."""
    random = np.random.default_rng(0)
    factor, code = random.integers(0, 30, (4000, 1)), random.normal(size=(4000, 1))
    chance = 19 * 29 / (2 * 4000) / np.log(30)
    assert binned_gaps(code, factor) == pytest.approx([chance], rel=0.35)


def test_boosting_tells_how_far_it_is() -> None:
    known, unseen = codes("perfect")
    told: list[float] = []
    dci_boosted(
        Points(known[:300], KNOWN[:300]), Points(unseen, UNSEEN), 3,
        lambda message, share: told.append(share or 0.0),
    )  # fmt: skip
    assert len(told) == 9 and told == sorted(told) and told[-1] == pytest.approx(1.0)
