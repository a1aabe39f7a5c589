"""Measures of pictures against closed forms, peers' figures and generators of a known fault."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from vae_core.errors import UserError
from vae_core.metrics.quality import Reference, compare
from vae_core.metrics.quality import manifold as manifold_module
from vae_core.metrics.quality.estimate import proportion
from vae_core.metrics.quality.frechet import Gaussian, frechet, frechet_distance
from vae_core.metrics.quality.kernel_distance import kernel_distance, over_subsets, squared_mmd
from vae_core.metrics.quality.manifold import (
    DENSITY_NEIGHBOUR,
    LEAST_IMAGES,
    manifold,
    squared_distances,
)
from vae_core.metrics.quality.memorisation import authenticity, copying, nearest


def normal(n: int, d: int, seed: int, mean: float = 0.0, deviation: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, (n, d))


# --- FID ------------------------------------------------------------------------------------------


def test_the_distance_of_two_gaussians_is_the_known_one() -> None:
    """Independent dimensions: Σ (μ_a − μ_b)² + (σ_a − σ_b)²; any others: by the matrix root."""
    random = np.random.default_rng(0)
    means, deviations = random.normal(size=(2, 5)), random.uniform(0.1, 2, size=(2, 5))
    a, b = (Gaussian(m, np.diag(s**2)) for m, s in zip(means, deviations, strict=True))
    expected = np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)

    tilted = [m @ m.T for m in random.normal(size=(2, 5, 5))]
    a, b = (Gaussian(m, c) for m, c in zip(means, tilted, strict=True))
    root = np.trace(sqrtm(tilted[0] @ tilted[1]).real)
    expected = np.square(means[0] - means[1]).sum() + np.trace(sum(tilted)) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_singular_covariances_have_a_distance() -> None:
    """On a line each, N(0, vvᵀ) and N(0, wwᵀ): |v|² + |w|² − 2 |v·w|, and no complex root."""
    v, w = np.random.default_rng(1).normal(size=(2, 40))
    a, b = (Gaussian(np.zeros(40), np.outer(each, each)) for each in (v, w))
    assert frechet_distance(a, b) == pytest.approx(v @ v + w @ w - 2 * abs(v @ w), rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)


def test_identical_sets_are_at_no_distance_and_few_images_have_none() -> None:
    x = normal(300, 20, 0)
    found = frechet(x, x)
    assert found is not None and found.value == pytest.approx(0, abs=1e-8)
    assert frechet(x[:20], x) is None and frechet(x, x[:20]) is None
    assert frechet(x[:21], x) is not None


def test_the_interval_of_fid_holds_the_truth_once_its_bias_is_off() -> None:
    """Of N(0, I) and N(½, I) in 4 dimensions it is 1; 60 times 150 images of each."""
    errors, held = [], 0
    for seed in range(60):
        found = frechet(normal(150, 4, 2 * seed), normal(150, 4, 2 * seed + 1, mean=0.5))
        assert found is not None and found.bias is not None
        assert found.value is not None and found.low is not None and found.high is not None
        errors.append((found.value - 1, found.value - found.bias - 1))
        held += found.low - found.bias <= 1 <= found.high - found.bias
    plain, corrected = np.mean(errors, axis=0)
    assert plain > 0.05, "150 images are too few for an FID without bias"
    assert abs(corrected) < plain / 2
    assert held >= 52  # 57 are expected, 52 or fewer come about once in 80 times


# --- KID ------------------------------------------------------------------------------------------


def test_kid_has_the_value_that_its_kernel_gives_the_moments() -> None:
    """In one dimension (xy + 1)³ compares three moments: MMD² = 3 Δm₁² + 3 Δm₂² + Δm₃². Of N(0, 1)
    and N(1, 1) these are 1, 1 and 4: 22."""
    found = kernel_distance(normal(3000, 1, 0), normal(3000, 1, 1, mean=1.0))
    assert found.low is not None and found.high is not None
    assert found.low < 22 < found.high < 30
    assert found.value == pytest.approx(22, rel=0.1)


def test_kid_is_zero_on_average_where_both_are_the_same() -> None:
    """No bias, with however few images: 400 times 20 of each."""
    values = [squared_mmd(normal(20, 3, 2 * s), normal(20, 3, 2 * s + 1)) for s in range(400)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0


def test_kid_of_all_images_is_the_estimate_itself_and_its_interval_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = normal(90, 3, 0), normal(70, 3, 1, mean=0.3)
    whole = kernel_distance(x, y)
    assert whole.value == pytest.approx(squared_mmd(x, y), rel=1e-9)
    monkeypatch.setattr(manifold_module, "AT_ONCE", 800)  # a few rows at a time
    again = kernel_distance(x, y)
    assert (again.value, again.low) == pytest.approx((whole.value, whole.low), rel=1e-9)

    # Two dimensions of deviation 1, of which one is shifted by ½: moments of the kernel
    # (a·b/2 + 1)³, by a sample of half a million pairs of blocks.
    large = squared_mmd(normal(4000, 2, 5), normal(4000, 2, 6, mean=0.5))
    held = 0
    for seed in range(60):
        found = kernel_distance(normal(100, 2, 90 + seed), normal(100, 2, 900 + seed, mean=0.5))
        assert found.low is not None and found.high is not None
        held += found.low <= large <= found.high
    assert held >= 52


# --- precision, recall, density, coverage ---------------------------------------------------------


def test_the_same_distribution_has_the_density_and_coverage_that_are_expected_of_it() -> None:
    """Density is 1. A neighbourhood holds no picture where the k nearest of all others are images,
    so coverage is 1 − Π (N − i)/(M + N − i), whatever the distribution (Naeem et al. 2020)."""
    n, m, k = 1500, 1000, DENSITY_NEIGHBOUR
    found = manifold(normal(n, 6, 0), normal(m, 6, 1))
    expected = 1 - np.prod([(n - i) / (m + n - i) for i in range(1, k + 1)])
    assert found.density.value == pytest.approx(1, abs=0.05)
    assert found.coverage.value == pytest.approx(expected, abs=0.03)


def test_missing_modes_cost_recall_and_coverage_alone() -> None:
    """Images in two heaps, pictures in one."""
    real = np.vstack([normal(400, 3, 0), normal(400, 3, 1, mean=50)])
    found = manifold(real, normal(800, 3, 2))
    assert found.precision.value == pytest.approx(1, abs=0.05)
    assert found.recall.value == pytest.approx(0.5, abs=0.05)
    assert found.coverage.value == pytest.approx(0.5, abs=0.02)
    swapped = manifold(normal(800, 3, 2), real)
    assert swapped.precision.value == pytest.approx(0.5, abs=0.05)
    assert swapped.recall.value == pytest.approx(1, abs=0.05)


def test_one_outlier_deceives_precision_and_not_density() -> None:
    """Its ball holds all that lies between it and the heap: what density was made for."""
    real = np.vstack([normal(400, 2, 0), [[60.0, 0.0]]])
    between = normal(200, 2, 1) + np.array([30.0, 0.0])
    found = manifold(real, between)
    assert found.precision.value == 1
    assert found.density.value is not None and found.density.value < 0.3
    assert found.coverage.value is not None and found.coverage.value < 0.01


def test_copies_lie_in_the_neighbourhoods_of_their_originals() -> None:
    """Also where originals are copies of each other, whose balls have no size."""
    real = np.repeat(normal(30, 4, 0), 8, axis=0)
    found = manifold(real, real)
    assert [getattr(found, name).value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    distances = squared_distances(real + 100, real + 100)
    assert (distances[np.arange(240) // 8 == (np.arange(240) // 8)[:, None]] == 0).all()


def test_a_share_of_one_has_an_interval() -> None:
    """Wilson's for 20 of 20 begins at 0.839."""
    found = proportion(np.ones(20, bool))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.8389, abs=1e-4)


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_copies_are_told_by_their_share(share: float, expected: float) -> None:
    training, held_out = normal(2000, 5, 0), normal(800, 5, 1)
    made = normal(800, 5, 2)
    copies = int(share * len(made))
    made[:copies] = training[np.random.default_rng(3).integers(0, len(training), copies)]
    of_held_out = nearest(held_out, training)
    found = copying(nearest(made, training), of_held_out)
    assert found.low is not None and found.high is not None
    assert found.value == pytest.approx(expected, abs=0.03)
    assert found.low <= expected <= found.high <= 1
    usual = authenticity(of_held_out, training).value
    assert usual is not None
    real = authenticity(nearest(made, training), training).value
    assert real == pytest.approx((1 - share) * usual, abs=0.04)


# --- all of them ----------------------------------------------------------------------------------


def test_what_cannot_be_measured_is_refused() -> None:
    images, lost = normal(20, 3, 0), normal(20, 3, 1)
    lost[4] = np.nan
    with pytest.raises(UserError, match=r"5 pictures, and neighbourhoods need 6"):
        compare(images[: LEAST_IMAGES - 1], 5, Reference(images, images))
    with pytest.raises(UserError, match="1 of the 20 pictures have features that are no numbers"):
        compare(lost, 20, Reference(images, images))


def test_one_picture_again_and_again_has_figures() -> None:
    images = normal(200, 8, 0)
    found = compare(np.repeat(images[:1], 150, axis=0), 1, Reference(images, normal(300, 8, 1)))
    assert found.fid is not None and found.fid.value is not None
    assert found.fid.value > np.trace(np.cov(images.T)) - 1e-6
    assert found.recall.value is not None and found.recall.value < 0.02
    assert found.coverage.value is not None and found.coverage.value < 0.2


PEERS = {
    "fid": 1.932367505220519,
    "kid": 0.4392741611195219,
    "precision": 0.656,
    "recall": 0.804,
    "density": 0.6512,
    "coverage": 0.868,
}
"""FID and KID by torch-fidelity 0.4.0 and torchmetrics 1.9.0, the others by prdc 0.2 (k = 3 for the
first two, 5 for the last two), which agree with each other to 14 digits."""


def test_figures_are_those_of_peers() -> None:
    """On 250 features of 12 dimensions each."""
    real, made = normal(250, 12, 0), normal(250, 12, 1, mean=0.3, deviation=1.1)
    fid = frechet(real, made)
    assert fid is not None
    near = manifold(real, made)
    ours = {
        "fid": fid.value,
        "kid": kernel_distance(real, made).value,
        **{name: getattr(near, name).value for name in PEERS if hasattr(near, name)},
    }
    assert ours == pytest.approx(PEERS, rel=1e-12)
    subsets = over_subsets(real, made, number=3)
    assert (subsets.size, subsets.mean) == (250, pytest.approx(PEERS["kid"], rel=1e-12))
