"""What can be read from codes, on classes of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn.linear_model import LogisticRegression

from vae_core.metrics.probes import (
    Labelled,
    linear_probe,
    neighbour_probe,
    pixels,
    principal,
    scaled,
)
from vae_core.metrics.wilson import wilson


def clouds(n: int, seed: int, apart: float = 2.0) -> Labelled:
    """Two round clouds whose centres lie `apart` deviations apart, and a feature that says nothing
    and is twice as wide."""
    random = np.random.default_rng(seed)
    labels = random.integers(2, size=n)
    features = random.normal(size=(n, 2)) * [1.0, 2.0]
    features[:, 0] += apart * labels
    return Labelled(features, labels)


def corners(n: int, seed: int) -> Labelled:
    """Four clouds, of which opposite ones have the same label."""
    random = np.random.default_rng(seed)
    places = random.integers(2, size=(n, 2))
    return Labelled(4 * places + 0.5 * random.normal(size=(n, 2)), places.sum(1) % 2)


def test_a_line_between_two_clouds_does_as_well_as_can_be() -> None:
    found = linear_probe(clouds(2000, 0), clouds(5000, 1))
    best = norm.cdf(1.0)  # the classifier that knows the clouds
    assert found.value == pytest.approx(best, abs=0.015)
    assert found.low < best < found.high and found.images == 5000
    near = neighbour_probe(clouds(2000, 0), clouds(2000, 1))
    assert best - 0.06 < near.value < best + 0.02 and near.setting > 3


def test_neighbours_see_what_no_line_does() -> None:
    known, unseen = corners(600, 0), corners(600, 1)
    assert linear_probe(known, unseen).value < 0.75
    assert neighbour_probe(known, unseen).value > 0.99


def test_labels_that_features_know_nothing_of_are_guessed() -> None:
    random = np.random.default_rng(0)
    known, unseen = (
        Labelled(random.normal(size=(900, 5)), random.integers(3, size=900)) for _ in "ab"
    )
    for probe in (linear_probe, neighbour_probe):
        found = probe(known, unseen)
        assert found.value == pytest.approx(1 / 3, abs=0.06)


def test_neither_scale_nor_rotation_of_all_features_matters() -> None:
    known, unseen = clouds(500, 0), clouds(500, 1)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    moved = [Labelled(1000 * each.features @ turn + 7, each.labels) for each in (known, unseen)]
    assert linear_probe(*moved).value == pytest.approx(linear_probe(known, unseen).value, abs=0.003)


def test_more_features_than_images_are_turned_and_nothing_is_lost() -> None:
    random = np.random.default_rng(0)
    known, unseen = (
        Labelled(random.normal(size=(60, 200)), random.integers(2, size=60)) for _ in "ab"
    )
    a, b = scaled(known, unseen)
    assert a.features.shape == (60, 60)
    size = np.sqrt(((known.features - known.features.mean(0)) ** 2).mean())
    whole = LogisticRegression(max_iter=2000, tol=1e-8).fit(
        (known.features - known.features.mean(0)) / size, known.labels
    )
    turned = LogisticRegression(max_iter=2000, tol=1e-8).fit(a.features, a.labels)
    theirs = whole.predict_proba((unseen.features - known.features.mean(0)) / size)
    np.testing.assert_allclose(turned.predict_proba(b.features), theirs, atol=1e-4)


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (7, 10), (930, 1000)])
def test_the_interval_is_wilsons(correct: int, n: int) -> None:
    theirs = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_a_single_label_is_told_without_a_classifier() -> None:
    known = Labelled(np.zeros((20, 2)), np.full(20, 3))
    assert linear_probe(known, Labelled(np.zeros((10, 2)), np.array([3] * 9 + [1]))).value == 0.9


def test_what_codes_are_compared_with() -> None:
    images = np.random.default_rng(0).integers(256, size=(30, 3, 48, 64)).astype(np.uint8)
    small = pixels(images)
    assert small.shape == (30, 3 * 24 * 32) and small.dtype == np.float32
    block = images[0, 0, :2, :2].mean() / 255
    assert small[0, 0] == pytest.approx(block, abs=1 / 255)
    known, unseen = principal(small[:20], small[20:], 5)
    assert known.shape == (20, 5) and unseen.shape == (10, 5)
    assert (np.diff(known.var(axis=0)) <= 1e-6).all()
