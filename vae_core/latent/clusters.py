"""Groups that the encodings form by themselves, and what stands for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.errors import UserError
from vae_core.latent.search import NearestEncodings
from vae_core.latent.survey import finite
from vae_core.progress import Progress, no_progress

MOST_FITTED = 10_000
"""Encodings that groups are found among, evenly spread: 2.6 s; of twice as many, four times that.
The others join the group of the nearest of these that is near enough."""

LEAST_MEMBERS = 5
SHARE_OF_ALL = 0.005
MIN_SAMPLES = 5
NONE = -1


@dataclass(frozen=True)
class Clusters:
    """K groups of N encodings, the largest first; −1 where an image belongs to none.

    number: int64 [N], the group of each. strength: float32 [N] in [0, 1], how surely it belongs
    there. centers: float32 [K, D], the mean encoding of each.
    """

    number: np.ndarray
    strength: np.ndarray
    centers: np.ndarray

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def sizes(self) -> np.ndarray:
        """int64 [K]."""
        return np.bincount(self.number[self.number >= 0], minlength=len(self))

    def typical(self, cluster: int, mu: np.ndarray, n: int) -> np.ndarray:
        """The n members of a group that lie nearest to its centre, the nearest first: int64 [n]."""
        members = np.flatnonzero(self.number == cluster)
        away = np.linalg.norm(mu[members] - self.centers[cluster], axis=1)
        return members[np.argsort(away, kind="stable")[:n]]


def smallest_cluster(count: int) -> int:
    """The size from which a group of `count` images counts, where nobody says."""
    return max(LEAST_MEMBERS, round(SHARE_OF_ALL * count))


def find_clusters(
    mu: np.ndarray, smallest: int | None = None, progress: Progress = no_progress
) -> Clusters:
    """Groups of encodings mu [N, D] that are denser than what lies between them.

    Args:
        smallest: images that a group has at least; None: `smallest_cluster`.

    Source: Campello, Moulavi and Sander, Density-Based Clustering Based on Hierarchical Density
    Estimates (2013): HDBSCAN, of scikit-learn.

    Raises:
        UserError: when encodings are not finite, or there are fewer than `smallest`.
    """
    from sklearn.cluster import HDBSCAN

    finite(mu, "encoding")
    n = len(mu)
    smallest = smallest or smallest_cluster(n)
    if n <= max(smallest, MIN_SAMPLES):
        raise UserError(
            f"Groups of at least {smallest} images cannot be found among {n}; ask for smaller ones."
        )
    progress("Finding groups", None)
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST_FITTED)).astype(np.int64))
    fitted = HDBSCAN(
        min_cluster_size=max(2, round(smallest * len(rows) / n)),
        min_samples=MIN_SAMPLES,
        copy=True,
    ).fit(mu[rows])
    number = np.full(n, NONE, np.int64)
    strength = np.zeros(n, np.float32)
    number[rows], strength[rows] = fitted.labels_, fitted.probabilities_
    if len(rows) < n:
        _join_others(mu, rows, number, strength, progress)
    return _largest_first(mu, number, strength)


def _join_others(
    mu: np.ndarray,
    rows: np.ndarray,
    number: np.ndarray,
    strength: np.ndarray,
    progress: Progress,
) -> None:
    """Give the other encodings the group of the nearest fitted one, where they lie no farther from
    it than it lies from its own neighbours (its core distance)."""
    search = NearestEncodings(mu[rows])
    core = search.nearest(mu[rows], MIN_SAMPLES + 1, progress)[1][:, -1]
    others = np.setdiff1d(np.arange(len(mu)), rows)
    places, distances = search.nearest(mu[others], 1, progress)
    near = distances[:, 0] <= core[places[:, 0]]
    joined, by = others[near], rows[places[near, 0]]
    number[joined], strength[joined] = number[by], strength[by]


def _largest_first(mu: np.ndarray, number: np.ndarray, strength: np.ndarray) -> Clusters:
    found, sizes = np.unique(number[number >= 0], return_counts=True)
    order = found[np.argsort(-sizes, kind="stable")]
    renumbered = np.full(len(number), NONE, np.int64)
    for new, old in enumerate(order):
        renumbered[number == old] = new
    centers = [mu[renumbered == i].mean(axis=0) for i in range(len(order))]
    stacked = np.stack(centers) if centers else np.empty((0, mu.shape[1]))
    return Clusters(renumbered, strength, stacked.astype(np.float32))
