"""The nearest of many encodings to any others: exact, for a picture that is in no data set too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from vae_core.latent.survey import Survey, finite
from vae_core.progress import Progress, no_progress

BLOCK = 2**22
"""Distances that are held at once."""

SPARE = 32
"""How many more than are wanted the first pass looks at; beyond them nothing may be near enough."""


class NearestEncodings:
    """Exact Euclidean search among encodings mu [N, D].

    A query costs one product with all of them: of 100 000 × 128 less than a tree, which gains
    nothing beyond some ten dimensions (`python -m benchmarks.image_search`). The product is of
    float32; what it finds is believed where its rounding cannot have hidden a nearer one, else it
    is made again in float64. Distances are those of the differences, in float64.

    Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.1, for the
    bound of a scalar product.

    Raises:
        UserError: when encodings are not finite.
    """

    def __init__(self, mu: np.ndarray) -> None:
        self.mu = finite(mu, "encoding")
        self._center = mu.mean(axis=0, dtype=np.float64)
        self._points = torch.from_numpy((mu - self._center).astype(np.float32))
        norms = np.linalg.norm(self._points.numpy().astype(np.float64), axis=1)
        self._farthest = float(norms.max(initial=0.0))
        self._squares = torch.from_numpy((norms**2).astype(np.float32))

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
        at_once = max(1, BLOCK // max(1, len(self)))
        for start in range(0, len(queries), at_once):
            block = queries[start : start + at_once]
            here = slice(start, start + len(block))
            found = self._candidates(block - self._center, k)
            exact = np.linalg.norm(self.mu[found].astype(np.float64) - block[:, None], axis=2)
            order = np.argsort(exact, axis=1, kind="stable")[:, :k]
            places[here] = np.take_along_axis(found, order, axis=1)
            distances[here] = np.take_along_axis(exact, order, axis=1)
            progress("Comparing encodings", here.stop / len(queries))
        return places, distances

    def _candidates(self, moved: np.ndarray, k: int) -> np.ndarray:
        """Places int64 [M, ≥ k], among them the k nearest of each of float64 [M, D]."""
        wide = min(k + SPARE, len(self))
        small = torch.from_numpy(moved.astype(np.float32))
        near = torch.addmm(self._squares[None], small, self._points.T, alpha=-2)
        values, indices = near.topk(wide, largest=False)
        found: np.ndarray = indices.numpy()
        if wide == len(self):
            return found
        beyond = (values[:, -1] - values[:, k - 1]).numpy()
        # Not "beyond <= error": an overflow to NaN has to count as unsure.
        unsure = np.flatnonzero(~(beyond > 2 * self._rounding(moved)))
        if len(unsure):
            again = torch.from_numpy(moved[unsure])
            near = torch.addmm(self._exact_squares[None], again, self._exact.T, alpha=-2)
            found[unsure] = near.topk(wide, largest=False).indices.numpy()
        return found

    def _rounding(self, moved: np.ndarray) -> np.ndarray:
        """By how much |p|² − 2pq in float32 is off at most, for any of the points: [M].

        A sum of D products and the square is off by at most (D + 2) u times what its absolute
        values add up to, ≤ (|p| + |q|)²; the rounded square adds u, rounding p and q 2 u of it.
        """
        reach = self._farthest + np.linalg.norm(moved, axis=1)
        u = np.finfo(np.float32).eps / 2
        error: np.ndarray = (moved.shape[1] + 8) * u * np.square(reach)
        return error

    @cached_property
    def _exact(self) -> torch.Tensor:
        """In float64 |p|² − 2pq + |q|² keeps the order that the differences themselves have."""
        return torch.from_numpy(self.mu - self._center)

    @cached_property
    def _exact_squares(self) -> torch.Tensor:
        return (self._exact * self._exact).sum(1)


@dataclass(frozen=True)
class Hits:
    """The k images nearest to a query, the nearest first.

    parts: int64 [k], which of the surveys each is in; rows: int64 [k], its row there; distances:
    Euclidean in the latent space, float32 [k].
    """

    parts: np.ndarray
    rows: np.ndarray
    distances: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


class ImageSearch:
    """Search among all images of several surveys of one model.

    Raises:
        UserError: when encodings are not finite.
    """

    def __init__(self, surveys: Sequence[Survey]) -> None:
        self.surveys = tuple(surveys)
        self._starts = np.cumsum([0, *(len(each) for each in surveys)])
        mu = [each.mu for each in surveys]
        self._all = NearestEncodings(mu[0] if len(mu) == 1 else np.concatenate(mu))

    def __len__(self) -> int:
        return len(self._all)

    def nearest(self, z: np.ndarray, k: int, without: tuple[int, int] | None = None) -> Hits:
        """The k images nearest to z [D], but the one at (survey, row) `without`."""
        own = -1 if without is None else int(self._starts[without[0]]) + without[1]
        places, distances = self._all.nearest(z[None], k + (without is not None))
        others = np.flatnonzero(places[0] != own)[:k]
        found = places[0][others]
        parts = np.searchsorted(self._starts, found, side="right") - 1
        return Hits(parts, found - self._starts[parts], distances[0][others])
