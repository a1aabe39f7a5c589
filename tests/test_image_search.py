"""The nearest encodings: what float32 might have hidden is found nevertheless."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vae_core.latent.search import NearestEncodings

RNG = np.random.default_rng(3)


def _compared(points: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    every = np.linalg.norm(queries[:, None].astype(np.float64) - points[None], axis=2)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(every, order, axis=1)


def _shell(n: int, dimensions: int) -> np.ndarray:
    """Points hardly farther from the origin, one after the other, far from it."""
    directions = RNG.normal(size=(n, dimensions))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return (directions * (1 + 1e-8 * RNG.permutation(n)[:, None])).astype(np.float32)


def _with_a_stray(n: int, dimensions: int) -> np.ndarray:
    """One encoding so far away that float32 cannot tell the others apart beside it."""
    points = RNG.normal(size=(n, dimensions)).astype(np.float32)
    points[n // 2] = 3e6
    return points


@pytest.mark.parametrize("dimensions", [2, 16, 128])
@pytest.mark.parametrize("made", [_shell, _with_a_stray])
def test_rounding_hides_none_of_the_nearest(
    made: Callable[[int, int], np.ndarray], dimensions: int
) -> None:
    points = made(3000, dimensions)
    queries = np.concatenate([np.zeros((1, dimensions)), points[:4] * 1.001]).astype(np.float32)
    found = NearestEncodings(points)
    places, distances = found.nearest(queries, 20)
    order, exact = _compared(points, queries, 20)
    assert np.array_equal(places, order) and np.allclose(distances, exact, rtol=1e-6)
    assert "_exact" in vars(found), "the first pass alone could not have known"


def test_usual_encodings_need_the_first_pass_alone() -> None:
    points = RNG.normal(size=(20_000, 64)).astype(np.float32)
    found = NearestEncodings(points)
    places, _ = found.nearest(points[:50] + 0.1, 50)
    assert np.array_equal(places, _compared(points, points[:50] + 0.1, 50)[0])
    assert "_exact" not in vars(found)


def test_the_bound_holds_for_what_it_bounds() -> None:
    points = (100 * RNG.normal(size=(5000, 300))).astype(np.float32)
    query = (30 * RNG.normal(size=(1, 300))).astype(np.float32)
    found = NearestEncodings(points)
    moved = query - found._center
    near = (found._squares - 2 * (found._points @ moved[0].astype(np.float32))).numpy()
    exact = np.square(points - query.astype(np.float64)).sum(1) - np.square(moved).sum()
    assert np.abs(near - exact).max() <= found._rounding(moved)[0]


def test_copies_without_end_are_found_as_many_as_wanted() -> None:
    places, distances = NearestEncodings(np.ones((500, 3), np.float32)).nearest(np.ones((2, 3)), 40)
    assert all(len(set(row)) == 40 for row in places.tolist()) and not distances.any()
