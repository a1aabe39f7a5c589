"""Numbers that grow over a run: tables of them, and what of them is sent to a browser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

MAX_POINTS = 2000
"""Most points of one series in one message."""

MAX_CELLS = 40_000
"""Most cells (moments × dimensions) of the KL heat map in one message."""

Limits = tuple[str, float, float]
"""(axis, low, high): the stretch of the x axis that is looked at; axis is "step" or "time"."""


MOST_ROWS, MOST_NAMES = 2**18, 64
"""Of a table in memory: 130 MB where a run logs everything it can for weeks."""


class Columns:
    """A table of float64 that grows at its end; a column that appears late is NaN before.

    From `MOST_ROWS` on it keeps every second row, then every fourth, and so on. `halved`: how often
    it has been thinned.
    """

    def __init__(self) -> None:
        self.rows = self.halved = 0
        self._columns: dict[str, np.ndarray] = {}
        self._since = 0

    def __getitem__(self, name: str) -> np.ndarray:
        """The filled part of a column, [rows]; a view that later rows do not change."""
        return self._columns[name][: self.rows]

    def names(self) -> tuple[str, ...]:
        """The columns, in the order in which they appeared."""
        return tuple(self._columns)

    def append(self, row: dict[str, float]) -> None:
        """Add one row; names not seen before become columns.

        Raises:
            ValueError: when it would have more than `MOST_NAMES` of them.
        """
        if len(row.keys() | self._columns.keys()) > MOST_NAMES:
            raise ValueError("too many columns")
        self._since += 1
        if self._since % 2**self.halved:
            return
        for name in [name for name in row if name not in self._columns]:
            self._columns[name] = np.full(max(64, self.rows * 2), np.nan)
        for name, column in self._columns.items():
            if self.rows == len(column):
                column = self._columns[name] = np.concatenate([column, np.full(self.rows, np.nan)])
            column[self.rows] = row.get(name, np.nan)
        self.rows += 1
        if self.rows == MOST_ROWS:
            for name, column in self._columns.items():
                self._columns[name] = column[1 : self.rows : 2].copy()
            self.rows //= 2
            self.halved += 1


def all_series(columns: Columns, start: int, limits: Limits | None) -> dict[str, Any]:
    """{term: {"step", "time", "y"}} of the rows from `start`, each list at most `MAX_POINTS` long.

    A term is a column called "y:<term>"; one without a finite point is left out.
    """
    names = [name for name in columns.names() if name.startswith("y:")]
    if columns.rows <= start:
        return {}
    step, time = columns["step"][start:], columns["time"][start:]
    shown = {}
    for name in names:
        y = columns[name][start:]
        kept = np.flatnonzero(np.isfinite(y))
        axis = time[kept] if limits and limits[0] == "time" else step[kept]
        kept = kept[decimate(axis, y[kept], (limits[1], limits[2]) if limits else None)]
        if len(kept):
            shown[name.removeprefix("y:")] = {
                "step": step[kept].tolist(),
                # As it was recorded: steps of a small network lie a millisecond apart.
                "time": np.nan_to_num(time[kept]).tolist(),
                "y": [short(value) for value in y[kept].tolist()],
            }
    return shown


def decimate(
    x: np.ndarray,
    y: np.ndarray,
    limits: tuple[float, float] | None = None,
    points: int = MAX_POINTS,
) -> np.ndarray:
    """Indices [≤ points], rising, of the samples that keep the look of the curve (MinMaxLTTB).

    With `limits` on x, four fifths of the points lie within and the rest beside them.
    """
    if len(x) <= points:
        return np.arange(len(x))
    if limits is None:
        return _downsample(np.arange(len(x)), y, points)
    low = int(np.searchsorted(x, limits[0], "left"))
    high = max(low, int(np.searchsorted(x, limits[1], "right")))
    aside = points // 10
    parts = [(0, low, aside), (low, high, points - 2 * aside), (high, len(x), aside)]
    return np.concatenate([_downsample(np.arange(a, b), y[a:b], n) for a, b, n in parts])


def _downsample(indices: np.ndarray, y: np.ndarray, points: int) -> np.ndarray:
    if len(indices) <= points:
        return indices
    kept = MinMaxLTTBDownsampler().downsample(np.ascontiguousarray(y), n_out=points)
    return indices[kept.astype(np.int64)]


def heat(steps: list[int], values: list[list[float | None]]) -> dict[str, list[Any]]:
    """The KL per dimension over time, thinned evenly; the newest moment is always kept.

    A step that was measured twice, by a preview and on all unseen images, counts as last measured.
    """
    if not values:
        return {}
    once = dict(zip(steps, values, strict=True))
    steps, values = list(once), list(once.values())
    most = max(2, MAX_CELLS // len(values[-1]))
    picked = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return {"step": [steps[i] for i in picked], "values": [values[i] for i in picked]}


def short(value: float | None) -> float | None:
    """Five significant figures, None for what JSON cannot say."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
