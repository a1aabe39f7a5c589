"""Paths, neighbours, distances and directions in the latent space, against what is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi
from sklearn.neighbors import NearestNeighbors

from vae_core.latent.directions import class_directions, local_directions
from vae_core.latent.interpolation import PATHS, interpolate, slerp
from vae_core.latent.region import MAX_CORRELATED, Region, Verdict

POINTS = arrays(np.float64, 5, elements=st.floats(-10, 10))


@given(a=POINTS, b=POINTS, path=st.sampled_from(sorted(PATHS)))
def test_paths_begin_and_end_where_they_should(a: np.ndarray, b: np.ndarray, path: str) -> None:
    found = interpolate(a, b, 7, path)
    assert found.shape == (7, 5) and np.isfinite(found).all()
    np.testing.assert_allclose(found[[0, -1]], [a, b], atol=1e-4)


def test_a_spherical_path_keeps_the_length_and_turns_evenly() -> None:
    a, b, t = np.array([2.0, 0, 0]), np.array([0, 2.0, 0]), np.linspace(0, 1, 4)
    angles = np.pi / 2 * t
    expected = 2 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    np.testing.assert_allclose(slerp(a, b, t), expected, atol=1e-12)


def test_distance_is_mahalanobis() -> None:
    random = np.random.default_rng(0)
    mu = random.normal(size=(400, 4)) @ random.normal(size=(4, 4)) + 3
    region, z = Region(mu), random.normal(size=(9, 4))
    inverse, shift = np.linalg.inv(np.cov(mu.T)), z - mu.mean(axis=0)
    expected = np.sqrt(np.einsum("bi,ij,bj->b", shift, inverse, shift))
    np.testing.assert_allclose(region.distance(z), expected, rtol=1e-4)
    assert region.distance(region.mean[None])[0] == pytest.approx(0)
    assert region.share_nearer(region.mean[None])[0] == 0
    assert region.share_nearer(region.mean[None] + 1e3)[0] == 1


def test_samples_of_a_collapsed_posterior_are_where_the_model_was_trained() -> None:
    random = np.random.default_rng(0)
    mu = np.zeros((2000, 3), np.float32)
    mu[:, 0] = random.normal(size=2000)
    logvar = np.log(np.array([0.01, 1, 1], np.float32)) * np.ones((2000, 1), np.float32)
    region, prior = Region(mu, logvar), random.normal(size=(2000, 3))
    # The aggregated posterior is the prior: distances follow χ with three degrees of freedom.
    assert region.distance(prior).mean() == pytest.approx(chi(3).mean(), rel=0.03)
    assert region.share_nearer(prior).mean() == pytest.approx(0.5, abs=0.03)
    assert Region(mu).share_nearer(prior).mean() > 0.99


def test_a_dead_dimension_leaves_distances_finite() -> None:
    mu = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mu[:, 1] = 0
    assert np.isfinite(Region(mu).distance(np.ones((2, 3)))).all()
    assert np.isfinite(Region(np.zeros((5, 3))).distance(np.ones((2, 3)))).all()


@pytest.mark.parametrize("size, correlated", [(MAX_CORRELATED, True), (3136, False)])
def test_many_dimensions_are_taken_one_by_one(size: int, correlated: bool) -> None:
    random = np.random.default_rng(4)
    mu = random.normal(size=(60, size)) * np.linspace(1, 9, size)
    mu[:, 1] = mu[:, 0]  # together they say what one of them says
    started = time.monotonic()
    region, z = Region(mu), np.zeros((1, size)) + mu.mean(axis=0)
    z[0, 0] += 2 * mu[:, 0].std(ddof=1)
    by_dimension = 2.0
    assert time.monotonic() - started < 8
    assert (region.distance(z)[0] == pytest.approx(by_dimension)) is not correlated
    assert region.nearest(mu[7], 1)[0].tolist() == [7]
    assert 0 < region.share_nearer(mu[7:8])[0] < 1


# --- both ends of the distances, and holes -------------------------------------------------------


def gaussian(n: int, width: float, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Means and log-variances whose aggregated posterior is N(0, I), posteriors `width` wide."""
    mu = np.random.default_rng(seed).normal(size=(n, size)) * np.sqrt(1 - width**2)
    return mu.astype(np.float32), np.full((n, size), 2 * np.log(width), np.float32)


def clusters(width: float | None, size: int = 2) -> tuple[np.ndarray, np.ndarray | None]:
    """Two clouds at ±4 along the first dimension, each 0.5 wide, and their posteriors' widths."""
    mu = 0.5 * np.random.default_rng(0).normal(size=(1000, size))
    mu[:, 0] += np.repeat([-4.0, 4.0], 500)
    return mu, None if width is None else np.full(mu.shape, 2 * np.log(width))


@pytest.mark.parametrize("size", [16, 64])
def test_the_centre_of_many_dimensions_is_no_place_where_training_drew(size: int) -> None:
    region = Region(*gaussian(3000, 0.3, size))
    centre = region.place(region.mean)
    assert centre.nearer == 0 and centre.verdict is Verdict.NEAR


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_centre_of_few_dimensions_is_like_any_other_place(size: int) -> None:
    assert Region(*gaussian(3000, 0.1, size)).place(np.zeros(size)).verdict is Verdict.TYPICAL


def test_the_centre_is_typical_where_all_but_one_dimension_has_collapsed() -> None:
    """Draws lie far out for the noise of 15 dimensions that say nothing; encodings do not."""
    mu, logvar = gaussian(3000, 0.1, 16)
    mu[:, 1:], logvar[:, 1:] = 1e-3 * mu[:, 1:], 0
    region = Region(mu, logvar)
    assert region.place(region.mean).verdict is Verdict.TYPICAL
    assert region.place(mu[np.abs(mu[:, 0]).argmin()]).verdict is Verdict.TYPICAL


@pytest.mark.parametrize("width", [None, 0.05, 0.3])
@pytest.mark.parametrize("size", [2, 8])
def test_a_hole_between_two_clusters_is_a_hole(width: float | None, size: int) -> None:
    mu, logvar = clusters(width, size)
    region = Region(mu, logvar)
    middle = region.place(np.zeros(size))
    assert middle.verdict is Verdict.HOLE and middle.gap > 2.5 and middle.closer == 1
    inside = [region.place(z).verdict for z in mu[:200]]
    assert np.mean([verdict is Verdict.TYPICAL for verdict in inside]) > 0.97


def test_wide_posteriors_fill_a_hole() -> None:
    """Every draw of the decoder's training crossed what the means leave empty."""
    assert Region(*clusters(4.0)).place(np.zeros(2)).verdict is Verdict.TYPICAL


def test_a_collapsed_dimension_makes_no_hole() -> None:
    """Prior draws lie one σ away from all means along it, as every training draw did."""
    mu, logvar = gaussian(2000, 0.1, 8)
    mu[:, 4:], logvar[:, 4:] = 0, 0
    region, random = Region(mu, logvar), np.random.default_rng(1)
    found = [region.place(z) for z in random.normal(size=(300, 8))]
    assert np.mean([place.verdict is Verdict.TYPICAL for place in found]) > 0.95
    assert np.median([place.gap for place in found]) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("deterministic", [True, False])
def test_encodings_draws_and_far_points_are_told_apart(deterministic: bool) -> None:
    mu, logvar = gaussian(2000, 0.3, 16)
    region, random = Region(mu, None if deterministic else logvar), np.random.default_rng(2)
    fresh = np.sqrt(0.91) * random.normal(size=(300, 16))
    if not deterministic:
        fresh += 0.3 * random.normal(size=fresh.shape)
    for points, verdict in ((mu[:300], Verdict.TYPICAL), (fresh, Verdict.TYPICAL),
                            (3 * mu[:300], Verdict.FAR)):  # fmt: skip
        found = [region.place(z).verdict is verdict for z in points]
        assert np.mean(found) > 0.97
    shares = [region.place(z).nearer for z in fresh]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.median([region.place(z).gap for z in fresh]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_place_does_not_depend_on_the_scale_of_the_codes(scale: float) -> None:
    mu, logvar = gaussian(500, 0.3, 6)
    z = np.full(6, 1.3)
    one = Region(mu, logvar).place(z)
    other = Region(scale * mu, logvar + 2 * np.float32(np.log(scale))).place(scale * z)
    assert other.verdict is one.verdict
    ours, theirs = ((p.distance, p.nearer, p.gap, p.closer) for p in (one, other))
    assert theirs == pytest.approx(ours, rel=1e-3, abs=5e-3)


@given(
    mu=arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 4)),
              elements=st.floats(-1e3, 1e3, width=32)),
    z=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4),
    width=st.none() | st.floats(-30, 10),
)  # fmt: skip
def test_a_place_is_always_within_its_ranges(
    mu: np.ndarray, z: list[float], width: float | None
) -> None:
    """One encoding, equal ones, dead dimensions, widths at both ends of what is allowed."""
    region = Region(mu, None if width is None else np.full(mu.shape, width, np.float32))
    place = region.place(np.array(z[: mu.shape[1]]))
    assert place.distance >= 0 and 0 <= place.nearer <= 1
    assert place.gap >= 0 and 0 <= place.closer <= 1 and not np.isnan(place.gap)
    assert place.verdict in set(Verdict)


def test_a_place_among_70_000_is_found_while_somebody_drags() -> None:
    region = Region(*gaussian(70_000, 0.3, 16))
    seconds = []
    for z in region.mu[:40]:
        started = time.perf_counter()
        region.place(z), region.nearest(z, 5)
        seconds.append(time.perf_counter() - started)
    assert np.quantile(seconds, 0.25) < 0.016  # a frame, on a machine that others use too


@pytest.mark.parametrize("k", [1, 5, 300, 400])
def test_the_nearest_are_those_that_scikit_learn_finds(k: int) -> None:
    random = np.random.default_rng(1)
    mu, z = random.normal(size=(300, 6)).astype(np.float32), random.normal(size=6)
    chosen, distances = Region(mu).nearest(z, k)
    theirs = NearestNeighbors(n_neighbors=min(k, 300), algorithm="brute").fit(mu)
    their_distances, their_places = theirs.kneighbors(z[None].astype(np.float32))
    np.testing.assert_array_equal(chosen, their_places[0])
    np.testing.assert_allclose(distances, their_distances[0], rtol=1e-4, atol=1e-5)


def test_class_directions_lead_from_one_mean_to_the_others() -> None:
    random = np.random.default_rng(2)
    labels = np.repeat([3, 5, 7], 100)
    centers = {3: [0, 0, 0], 5: [0, 9, 0], 7: [4, 0, 0]}
    mu = np.array([centers[label] for label in labels]) + random.normal(size=(300, 3)) * 0.01
    found, targets = class_directions(mu, labels, source=3)
    assert targets == [7, 5]  # the nearer class first
    np.testing.assert_allclose(found.vectors, [[1, 0, 0], [0, 1, 0]], atol=1e-2)
    np.testing.assert_allclose(found.center, 0, atol=1e-2)
    np.testing.assert_allclose(found.deviations, (mu @ found.vectors.T).std(axis=0), rtol=1e-4)


def test_local_directions_follow_the_shape_of_the_neighbourhood() -> None:
    random = np.random.default_rng(3)
    along = random.uniform(-1, 1, 200)
    one = np.stack([along, 0.01 * random.normal(size=200)], axis=1)  # flat here
    other = one[:, ::-1] + 50  # upright there
    mu = np.concatenate([one, other])
    found = local_directions(Region(mu), np.array([50.0, 50.0]), 100)
    np.testing.assert_allclose(abs(found.vectors[0]), [0, 1], atol=0.05)
    np.testing.assert_array_equal(found.center, [50, 50])
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(2), atol=1e-5)
