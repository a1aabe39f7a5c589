"""The nearest encodings of every encoding: how pure they are, and what hangs together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.latent.search import NearestEncodings
from vae_core.latent.survey import finite

TREE_DIMENSIONS = 6
"""Up to here a k-d tree wins: 60 000 points of 5 dimensions 3 s against 12 s, of 16 dimensions
142 s against 23 s (11 neighbours, normally distributed, two cores)."""

Search = Callable[[slice, int], np.ndarray]
"""Of a stretch of the encodings, the places of each one's k nearest, itself among them."""

QUERIES = 4096


@dataclass(frozen=True)
class Neighbours:
    """The k nearest other encodings of each of N, the nearest first.

    places: int64 [N, k]; distances: Euclidean, float32 [N, k].
    """

    places: np.ndarray
    distances: np.ndarray


def nearest_neighbours(mu: np.ndarray, k: int = 10, progress: Progress = no_progress) -> Neighbours:
    """The k nearest of the other encodings for each of mu [N, D]; k yields to N − 1.

    Exact. Memory holds a block of queries, not N × N distances. Encodings have to be finite.
    """
    finite(mu, "encoding")
    n, k = len(mu), max(0, min(k, len(mu) - 1))
    places, distances = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    if k == 0:
        return Neighbours(places, distances)
    search = _by_tree(mu) if mu.shape[1] <= TREE_DIMENSIONS else _by_all(mu)
    for start in range(0, n, QUERIES):
        block = slice(start, min(start + QUERIES, n))
        places[block] = _without_itself(search(block, k + 1), np.arange(block.start, block.stop))
        # Again from the differences: |a|² − 2ab + |b|² cancels where two are nearly the same.
        shifts = mu[places[block]] - mu[block, None]
        distances[block] = np.linalg.norm(shifts, axis=2)
        progress("Comparing encodings", block.stop / n)
    order = np.argsort(distances, axis=1, kind="stable")
    return Neighbours(*(np.take_along_axis(each, order, axis=1) for each in (places, distances)))


def _by_tree(mu: np.ndarray) -> Search:
    from scipy.spatial import KDTree

    tree = KDTree(mu)
    return lambda block, k: tree.query(mu[block], k)[1]


def _by_all(mu: np.ndarray) -> Search:
    found = NearestEncodings(mu)
    return lambda block, k: found.nearest(mu[block], k)[0]


def _without_itself(found: np.ndarray, own: np.ndarray) -> np.ndarray:
    """found [B, k + 1] without each row's own place, or without the last where copies hid it."""
    other = found != own[:, None]
    other[other.all(axis=1), -1] = False
    return found[other].reshape(len(found), -1)


def purity(neighbours: Neighbours, labels: np.ndarray) -> np.ndarray:
    """The share, in [0, 1], of each image's neighbours that have its label [N]: float32 [N], NaN
    where it has none."""
    same = labels[neighbours.places] == labels[:, None]
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = same.sum(axis=1, dtype=np.float32) / np.float32(same.shape[1])
    return shares


def agreement(one: Neighbours, other: Neighbours) -> float:
    """How many of an image's k neighbours in one space are its neighbours in the other too, in
    [0, k], mean over the images; rows and k have to be the same in both.

    Source: Huh et al., The Platonic Representation Hypothesis (2024), the mutual
    nearest-neighbour metric, there as a share of k.
    """
    shared = (one.places[:, :, None] == other.places[:, None, :]).any(axis=2).sum(axis=1)
    return float(shared.mean()) if len(shared) else 0.0


def linked(pairs: np.ndarray, n: int) -> list[np.ndarray]:
    """Of n images, the groups that pairs int64 [2, M] hold together: int64 [≥ 2] each, ascending,
    the largest groups first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = (np.ones(pairs.shape[1], np.int8), (pairs[0], pairs[1]))
    _, group = connected_components(coo_array(links, shape=(n, n)), directed=False)
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((members for members in groups if len(members) > 1), key=len, reverse=True)


def typical_distance(neighbours: Neighbours) -> float:
    """The median distance of an image to its nearest neighbour: the measure of "near"."""
    nearest = neighbours.distances[:, :1]
    return float(np.median(nearest)) if nearest.size else 0.0
