"""When a save is due: a kill is to cost little, and so is saving."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.01
"""Of the time: what saving may take, and what is done beside it at the end of an epoch."""


class Rest:
    """Work that may take a share of the time: after it come at least 1 / `SHARE` times as long
    without it. By a clock that nobody sets."""

    def __init__(self) -> None:
        self._ended, self._took = time.monotonic(), 0.0

    @property
    def rested(self) -> float:
        """Seconds since the work was last done, or since there was nothing to do."""
        return time.monotonic() - self._ended

    def is_over(self) -> bool:
        """True where the work may be done again."""
        return self.rested >= self._took / SHARE

    def begin(self) -> None:
        """Nothing is to be done now, whatever time has passed."""
        self._ended = time.monotonic()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the work; what it takes is measured."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._ended = time.monotonic()
            self._took = self._ended - started


class Saves(Rest):
    """Saves at the steps that were asked for, by time, and at the end of an epoch where the one
    before is not too fresh."""

    def __init__(self, every_s: float | None, every: int | None) -> None:
        """`every_s`: seconds after which one is due, `every`: steps; None for none of these."""
        super().__init__()
        self.every_s, self.every = every_s, every

    def due(self, step: int, ends_epoch: bool = False) -> bool:
        """Whether to save after `step`."""
        asked = self.every is not None and step % self.every == 0
        return asked or self.is_late() or (ends_epoch and self.is_over())

    def is_late(self) -> bool:
        """Whether one is due by time."""
        return self.every_s is not None and self.rested >= self.every_s and self.is_over()
