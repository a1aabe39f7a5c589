"""Paths, neighbours, distances and directions in the latent space, against what is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi, multivariate_normal
from sklearn.neighbors import NearestNeighbors

from vae_core.errors import UserError
from vae_core.latent.directions import class_directions, local_directions
from vae_core.latent.interpolation import PATHS, interpolate, spherical
from vae_core.latent.region import MOST_CORRELATED, Region, prior_log_density

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
    np.testing.assert_allclose(spherical(a, b, t), expected, atol=1e-12)


def test_an_unknown_path_is_named() -> None:
    with pytest.raises(UserError, match="spherical"):
        interpolate(np.zeros(2), np.ones(2), 3, "sperical")


def test_distance_is_mahalanobis_and_density_the_normal_one() -> None:
    random = np.random.default_rng(0)
    mu = random.normal(size=(400, 4)) @ random.normal(size=(4, 4)) + 3
    region, z = Region(mu), random.normal(size=(9, 4))
    inverse, shift = np.linalg.inv(np.cov(mu.T)), z - mu.mean(axis=0)
    expected = np.sqrt(np.einsum("bi,ij,bj->b", shift, inverse, shift))
    np.testing.assert_allclose(region.distance(z), expected, rtol=1e-4)
    assert region.distance(region.mean[None])[0] == pytest.approx(0)
    assert region.share_farther(region.mean[None])[0] == 1
    assert region.share_farther(region.mean[None] + 1e3)[0] == 0
    np.testing.assert_allclose(
        prior_log_density(z), multivariate_normal(np.zeros(4)).logpdf(z), rtol=1e-10
    )


def test_samples_of_a_collapsed_posterior_are_where_the_model_was_trained() -> None:
    random = np.random.default_rng(0)
    mu = np.zeros((2000, 3), np.float32)
    mu[:, 0] = random.normal(size=2000)
    logvar = np.log(np.array([0.01, 1, 1], np.float32)) * np.ones((2000, 1), np.float32)
    region, prior = Region(mu, logvar), random.normal(size=(2000, 3))
    # The aggregated posterior is the prior: distances follow χ with three degrees of freedom.
    assert region.distance(prior).mean() == pytest.approx(chi(3).mean(), rel=0.03)
    assert region.share_farther(prior).mean() == pytest.approx(0.5, abs=0.03)
    assert Region(mu).share_farther(prior).mean() < 0.01


def test_a_dead_dimension_leaves_distances_finite() -> None:
    mu = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mu[:, 1] = 0
    assert np.isfinite(Region(mu).distance(np.ones((2, 3)))).all()
    assert np.isfinite(Region(np.zeros((5, 3))).distance(np.ones((2, 3)))).all()


@pytest.mark.parametrize("size, correlated", [(MOST_CORRELATED, True), (3136, False)])
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
    assert 0 < region.share_farther(mu[7:8])[0] < 1


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
    with pytest.raises(ValueError, match="label 4"):
        class_directions(mu, labels, source=4)


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
