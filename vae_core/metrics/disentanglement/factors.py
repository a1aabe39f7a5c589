"""The factors that are scored: which of them vary, and which images share a value of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.errors import UserError


@dataclass(frozen=True)
class Points:
    """N images: their codes [N, L] and their factors, int64 [N, F]."""

    codes: np.ndarray
    factors: np.ndarray


def varied(factors: np.ndarray) -> np.ndarray:
    """Which factors [N, F] take more than one value, ascending [≤ F]: every score is about these.
    It is a `UserError` when none does."""
    found = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if len(found) == 0:
        raise UserError("No factor varies among these images, so there is nothing to score.")
    return found


def standardised(codes: np.ndarray) -> np.ndarray:
    """Codes [N, L] at mean 0 and deviation 1 each; 0 where a latent never varies."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    centred[:, np.ptp(codes, axis=0) == 0] = 0.0
    deviation = centred.std(axis=0)
    return centred / np.where(deviation > 0, deviation, 1.0)


class Groups:
    """The rows of each factor by their value; values that occur once are left out. `factors` are
    those with more than one value."""

    def __init__(self, factors: np.ndarray) -> None:
        self._groups = [_by_value(v) for v in factors.T]
        self.factors = [k for k, (_, starts, _) in enumerate(self._groups) if len(starts) > 1]
        if not self.factors:
            raise UserError(
                "No factor has two values that recur among these images; score more images."
            )

    def draw(self, factor: int, sets: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """`sets` sets of rows [sets, size]; those of a set share one value of `factor`."""
        rows, starts, counts = self._groups[factor]
        value = rng.integers(len(starts), size=sets)
        places = (rng.random((sets, size)) * counts[value, None]).astype(int)
        return rows[starts[value, None] + places]


def _by_value(v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows sorted by value [N]; where each value begins and how often it occurs, if twice."""
    _, starts, counts = np.unique(np.sort(v), return_index=True, return_counts=True)
    return np.argsort(v, kind="stable"), starts[counts > 1], counts[counts > 1]
