"""Rows that share the value of a factor: what the scores by Higgins and by Kim and Mnih draw."""

from __future__ import annotations

import numpy as np


class Groups:
    """The rows of each factor by their value; values that occur once are left out."""

    def __init__(self, factors: np.ndarray) -> None:
        self._groups = [_by_value(v) for v in factors.T]

    def factors(self) -> list[int]:
        """Factors that take more than one value."""
        return [k for k, (_, starts, _) in enumerate(self._groups) if len(starts) > 1]

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
