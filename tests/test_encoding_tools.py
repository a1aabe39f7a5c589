"""Neighbours, rankings, planes and selections, against what was constructed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors

from tests.engine import trained
from tests.surveys import constructed
from vae_core.data import ArrayImages
from vae_core.errors import UserError
from vae_core.latent import neighbours as neighbours_file
from vae_core.latent.grids import (
    dimension_values,
    even_values,
    plane_vectors,
    posterior_spread,
    quantile_values,
    traversal_vectors,
)
from vae_core.latent.neighbours import (
    agreement,
    linked,
    nearest_neighbours,
    purity,
    typical_distance,
)
from vae_core.latent.selection import (
    direction_between,
    label_mix,
    mean_image,
    mean_vector,
    picks,
)
from vae_core.loading import load_run

# --- neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [1, 3, 9])
def test_neighbours_are_exact_in_blocks(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours_file, "QUERIES", 37)
    mu = np.random.default_rng(0).normal(size=(200, dimensions)).astype(np.float32)
    found = nearest_neighbours(mu, 4)
    distances, places = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(mu).kneighbors(mu)
    np.testing.assert_array_equal(found.places, places[:, 1:])
    np.testing.assert_allclose(found.distances, distances[:, 1:], rtol=1e-3, atol=1e-6)
    assert typical_distance(found) == pytest.approx(np.median(distances[:, 1]), rel=1e-3)


def test_no_image_is_its_own_neighbour_however_many_copies_it_has() -> None:
    mu = np.repeat([[0.0, 0.0], [5.0, 1e-3]], 6, axis=0)
    found = nearest_neighbours(mu, 3)
    assert (found.places != np.arange(12)[:, None]).all() and (found.distances == 0).all()
    assert ((found.places < 6) == (np.arange(12) < 6)[:, None]).all()


def test_fewer_points_than_neighbours_and_diverged_encodings() -> None:
    assert nearest_neighbours(np.zeros((3, 2)), 10).places.shape == (3, 2)
    alone = nearest_neighbours(np.zeros((1, 2)), 10)
    assert alone.places.shape == (1, 0) and typical_distance(alone) == 0
    assert np.isnan(purity(alone, np.array([1]))).all()
    with pytest.raises(UserError, match="diverged"):
        nearest_neighbours(np.array([[0.0], [np.nan]]))


def test_purity_is_the_share_of_neighbours_with_the_same_label() -> None:
    mu = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]])
    labels = np.array([0, 0, 1, 1, 1, 1])
    found = purity(nearest_neighbours(mu, 2), labels)
    np.testing.assert_allclose(found, [0.5, 0.5, 0, 1, 1, 1])


def test_two_spaces_agree_as_far_as_they_share_neighbours() -> None:
    line = np.arange(40, dtype=np.float32)[:, None]
    same, mirrored = nearest_neighbours(line, 4), nearest_neighbours(-3 * line, 4)
    assert agreement(same, mirrored) == 4  # neither direction nor scale counts
    # Evens first, then odds: the nearest in the one are the second nearest in the other.
    folded = np.where(np.arange(40) % 2 == 0, 0, 1000)[:, None] + line
    half = agreement(nearest_neighbours(line, 4), nearest_neighbours(folded, 4))
    inner = [len({i - 2, i - 1, i + 1, i + 2} & {i - 4, i - 2, i + 2, i + 4}) for i in range(4, 36)]
    assert set(inner) == {2} and half == pytest.approx(2, abs=0.2)
    assert agreement(nearest_neighbours(line[:1]), nearest_neighbours(line[:1])) == 0


def test_links_make_groups_the_largest_first() -> None:
    pairs = np.array([[21, 3, 12, 5], [7, 21, 30, 5]])
    assert [group.tolist() for group in linked(pairs, 40)] == [[3, 7, 21], [12, 30]]
    assert linked(np.empty((2, 0), np.int64), 3) == []


# --- rankings ------------------------------------------------------------------------------------


def test_picks_follow_the_reconstruction_error() -> None:
    found = constructed(np.zeros((4, 2)), recon=np.array([3.0, 9.0, 5.0, 1.0]))
    assert picks(found, "worst", 2).tolist() == [1, 2]
    assert picks(found, "best", 2).tolist() == [3, 0]
    assert sorted(picks(found, "random", 9)) == [0, 1, 2, 3]
    assert picks(found, "random", 4, 1).tolist() == picks(found, "random", 4, 1).tolist()


def test_what_cannot_be_ranked_says_why() -> None:
    with pytest.raises(UserError, match="choose a part of the data set"):
        picks(constructed(np.zeros((2, 1)), kl=np.zeros(2)), "worst", 1)
    with pytest.raises(UserError, match="1 of 2 images have no finite recon"):
        picks(constructed(np.zeros((2, 1)), recon=np.array([1, np.nan])), "best", 1)


# --- planes --------------------------------------------------------------------------------------


def test_quantiles_cut_the_prior_into_equal_shares() -> None:
    values = quantile_values(8)
    np.testing.assert_allclose(norm.cdf(values), (np.arange(8) + 0.5) / 8, atol=1e-6)
    assert quantile_values(1).tolist() == [0]
    assert even_values(5, 2.0).tolist() == [-2, -1, 0, 1, 2]


def test_the_plane_grows_to_the_right_and_upwards() -> None:
    center, first, second = np.eye(4, dtype=np.float32)[:3]
    values = quantile_values(3)
    found = plane_vectors(center, first, second, values)
    np.testing.assert_allclose(found[0, 2], center + values[2] * first + values[2] * second)
    np.testing.assert_allclose(found[2, 0], center + values[0] * first + values[0] * second)
    np.testing.assert_allclose(found[1, 0], center + values[0] * first)


def test_traversals_bring_each_dimension_to_the_same_values() -> None:
    base, order = np.array([0.5, -1.0, 2.0]), np.array([2, 0])
    values = np.array([-3.0, 0.0, 3.0])
    steps = dimension_values(base, order, values)
    found = traversal_vectors(base, np.eye(3)[order], steps)
    assert found.shape == (2, 3, 3)
    np.testing.assert_allclose(found[0, :, 2], values)
    np.testing.assert_allclose(found[1, :, 0], values)
    np.testing.assert_allclose(found[0, :, :2], [[0.5, -1.0]] * 3)


@pytest.mark.parametrize("deviation", [0.0, 0.5])
def test_the_spread_is_that_of_pictures_of_posterior_samples(
    tmp_path: Path, deviation: float
) -> None:
    model = load_run(trained(tmp_path)).model
    scale = model.bottleneck.scale
    model.decoder[-1].weight.data.mul_(50)  # ten steps of training moved the pictures little
    with torch.no_grad():
        scale.weight.zero_()
        scale.bias.fill_(2 * np.log(deviation) if deviation else -30.0)
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    spread = posterior_spread(model, x, 500)
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(5)
        noise = torch.randn(500, 4, generator=generator)
        z = model.encode(x).mode() + deviation * noise
        pictures = model.picture(model.decode(z))
    np.testing.assert_allclose(spread, pictures.std(0, unbiased=False), atol=0.03)
    assert (spread.max() > 0.1) == (deviation > 0)


# --- selections ----------------------------------------------------------------------------------


def test_a_selection_is_summed_up_and_leads_to_another() -> None:
    mu = np.array([[0.0, 0], [0, 2], [3, 5], [5, 5]])
    found = constructed(mu, labels=np.array([1, 1, 0, 7]), label_names=("zero", "one"))
    here, there = np.array([0, 1]), np.array([2, 3])
    arrow = direction_between(found, here, there)
    assert arrow.start.tolist() == [0, 1] and arrow.length == pytest.approx(np.sqrt(32))
    np.testing.assert_allclose(arrow.vector, np.sqrt([0.5, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(arrow.start + arrow.length * arrow.vector, mean_vector(found, there))
    assert label_mix(found, np.array([0, 1, 3])) == {"one": 2, "7": 1}
    assert label_mix(constructed(mu), here) == {}
    with pytest.raises(UserError, match="same mean"):
        direction_between(found, here, here)
    with pytest.raises(UserError, match="Nothing is selected"):
        mean_vector(found, np.array([], int))


def test_the_mean_image_needs_no_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.latent.selection.BATCH", 3)
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), np.uint8)
    chosen = np.array([9, 1, 1, 4, 0, 2, 7])
    found = mean_image(ArrayImages(images), chosen)
    np.testing.assert_array_equal(found, np.rint(images[chosen].mean(axis=0)))
    with pytest.raises(UserError, match="Nothing is selected"):
        mean_image(ArrayImages(images), np.array([], int))
