"""How far long work is, how fast it goes and how long it takes."""

from __future__ import annotations

import time

import numpy as np

from vae_core.data.dataset import Progress, grouped

TELL_S = 0.2


class Pace:
    """Says how far it is, how fast it goes and how long it takes, a few times a second."""

    def __init__(self, message: str, done: np.ndarray, progress: Progress) -> None:
        """`done`: bool [N], as it is filled."""
        self._message, self._done, self._progress = message, done, progress
        self._began, self._before = time.monotonic(), int(done.sum())
        self._told = -np.inf

    def tell(self) -> None:
        """Tell `progress`, unless it was told just now."""
        now = time.monotonic()
        if now - self._told < TELL_S:
            return
        self._told = now
        done, total = int(self._done.sum()), len(self._done)
        message = f"{self._message}: {grouped(done)} of {grouped(total)}"
        spent, made = now - self._began, done - self._before
        if spent > 1 and made:
            left = (total - done) * spent / made
            message += f", {grouped(round(made / spent))} images/s, {_in_words(left)} left"
        self._progress(message, done / total)


def _in_words(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
