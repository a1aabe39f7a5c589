"""The nearest of many encodings to any others: exact, for a picture that is in no data set too."""

from __future__ import annotations

import numpy as np
import torch

from vae_core.latent.survey import finite
from vae_core.progress import Progress, no_progress

BLOCK = 2**22
"""Distances that are held at once."""


class NearestEncodings:
    """Exact Euclidean search among encodings mu [N, D].

    A query costs one product with all of them: of 100 000 × 128 less than a tree, which gains
    nothing beyond some ten dimensions (`python -m benchmarks.image_search`).

    Raises:
        UserError: when encodings are not finite.
    """

    def __init__(self, mu: np.ndarray) -> None:
        self.mu = finite(mu, "encoding")
        # In float64, |a|² − 2ab + |b|² keeps the order that the differences themselves have.
        self._center = mu.mean(axis=0, dtype=np.float64)
        self._points = torch.from_numpy(mu - self._center)
        self._squares = (self._points * self._points).sum(1)

    def __len__(self) -> int:
        return len(self.mu)

    def nearest(
        self, queries: np.ndarray, k: int, progress: Progress = no_progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each of queries [M, D] the k nearest encodings, the nearest first.

        Returns:
            (places int64 [M, k], distances float32 [M, k]); k yields to N.
        """
        k = min(k, len(self))
        places = np.empty((len(queries), k), np.int64)
        distances = np.empty((len(queries), k), np.float32)
        at_once = max(1, BLOCK // len(self))
        for start in range(0, len(queries), at_once):
            block = queries[start : start + at_once]
            here = slice(start, start + len(block))
            moved = torch.from_numpy(block - self._center)
            near = torch.addmm(self._squares[None], moved, self._points.T, alpha=-2)
            found = near.topk(k, largest=False).indices.numpy()
            exact = np.linalg.norm(self.mu[found].astype(np.float64) - block[:, None], axis=2)
            order = np.argsort(exact, axis=1, kind="stable")
            places[here] = np.take_along_axis(found, order, axis=1)
            distances[here] = np.take_along_axis(exact, order, axis=1)
            progress("Comparing encodings", here.stop / len(queries))
        return places, distances
