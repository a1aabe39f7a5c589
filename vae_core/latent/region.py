"""Where a point lies: how far from the encodings, and beside which of them."""

from __future__ import annotations

import numpy as np

LEAST_SHARE = 1e-6
"""Of the largest variance: directions in which encodings hardly vary are taken to vary that much,
so that a step along them counts as far, but not as infinitely far."""

MOST_CORRELATED = 1024
"""Dimensions up to which the full covariance is taken: at 1024 it takes 0.8 s and at
3136 it takes 13 s (3000 encodings, one thread), where deviations alone take 0.3 s."""


class Region:
    """The part of the latent space that a model knows: the one its encodings mu [N, D] fill.

    With more than `MOST_CORRELATED` dimensions its covariance is taken to be diagonal: each
    dimension has its standard deviation, and that some vary together is not seen.
    """

    def __init__(self, mu: np.ndarray) -> None:
        self.mu = mu.astype(np.float32)
        self.mean = mu.mean(axis=0, dtype=np.float64)
        centred = mu.astype(np.float64) - self.mean
        degrees = max(1, len(mu) - 1)
        self._axes: np.ndarray | None = None  # of a diagonal covariance: the dimensions themselves
        if mu.shape[1] <= MOST_CORRELATED:
            variances, self._axes = np.linalg.eigh(centred.T @ centred / degrees)
        else:
            variances = np.einsum("nd,nd->d", centred, centred) / degrees
        floor = max(variances.max() * LEAST_SHARE, np.finfo(np.float64).tiny)
        self._deviations = np.sqrt(np.maximum(variances, floor))
        self._squares = np.einsum("nd,nd->n", self.mu, self.mu)
        self._known = np.sort(self.distance(self.mu))

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of points z [B, D] to the encodings' mean, in σ: [B].

        Source: Mahalanobis, On the Generalized Distance in Statistics (1936).
        """
        centred = z - self.mean
        white = (centred if self._axes is None else centred @ self._axes) / self._deviations
        return np.sqrt(np.einsum("bd,bd->b", white, white))

    def share_farther(self, z: np.ndarray) -> np.ndarray:
        """The share of encodings, in [0, 1], that lie farther out than each point z [B, D]: [B]."""
        nearer = np.searchsorted(self._known, self.distance(z), side="right")
        return 1.0 - nearer / len(self._known)

    def nearest(self, z: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k encodings nearest to z [D]: their places [k] and Euclidean distances [k].

        Exact. One product of a matrix and a vector: 0.1 ms for 3000 × 16, 8 ms for 70 000 × 128.
        """
        z = z.astype(np.float32)
        k = min(k, len(self.mu))
        shares = self._squares - 2 * (self.mu @ z)  # |mu - z|² without the |z|² of all
        chosen = np.argpartition(shares, k - 1)[:k]
        distances = np.linalg.norm(self.mu[chosen] - z, axis=1)
        order = np.argsort(distances, kind="stable")
        return chosen[order], distances[order]


def prior_log_density(z: np.ndarray) -> np.ndarray:
    """log N(z; 0, I) of points z [B, D], in nats: [B]."""
    return -0.5 * (np.einsum("bd,bd->b", z, z) + z.shape[1] * np.log(2 * np.pi))
