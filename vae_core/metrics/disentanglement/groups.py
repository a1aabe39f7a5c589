"""Rows that share the value of a factor: what the scores by Higgins and by Kim and Mnih draw."""

from __future__ import annotations

import numpy as np

from vae_core.errors import UserError


def varied(factors: np.ndarray) -> np.ndarray:
    """Which factors [N, F] take more than one value, ascending [≤ F]: every score is about these.

    A factor that never changes has nothing to tell, whichever way it is measured.

    Raises:
        UserError: when none does.
    """
    found = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if len(found) == 0:
        raise UserError("No factor varies among these images, so there is nothing to score.")
    return found


def standardised(codes: np.ndarray) -> np.ndarray:
    """Codes [N, L] at mean 0 and deviation 1 each; 0 where a latent never varies."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    centred[:, np.ptp(codes, axis=0) == 0] = 0.0
    deviation = centred.std(axis=0)
    scaled: np.ndarray = centred / np.where(deviation > 0, deviation, 1.0)
    return scaled


class Groups:
    """The rows of each factor by their value; values that occur once are left out."""

    def __init__(self, factors: np.ndarray) -> None:
        self._groups = [_by_value(v) for v in factors.T]

    def factors(self) -> list[int]:
        """Factors that take more than one value.

        Raises:
            UserError: when none does.
        """
        found = [k for k, (_, starts, _) in enumerate(self._groups) if len(starts) > 1]
        if not found:
            raise UserError(
                "No factor has two values that recur among these images; score more images."
            )
        return found

    def draw(self, factor: int, sets: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """`sets` sets of rows [sets, size]; those of a set share one value of `factor`."""
        rows, starts, counts = self._groups[factor]
        value = rng.integers(len(starts), size=sets)
        places = (rng.random((sets, size)) * counts[value, None]).astype(int)
        drawn: np.ndarray = rows[starts[value, None] + places]
        return drawn


def _by_value(v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows sorted by value [N]; where each value begins and how often it occurs, if twice."""
    _, starts, counts = np.unique(np.sort(v), return_index=True, return_counts=True)
    return np.argsort(v, kind="stable"), starts[counts > 1], counts[counts > 1]
