"""Work that says how far it is, and stays responsive to whoever waits for it."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from vae_core.units import grouped

T = TypeVar("T")

Progress = Callable[[str, float | None], None]
"""Called with a sentence and the share done in [0, 1], or None where the share is unknown.

Work calls it at least every 0.5 s: it waits in it while it is paused, and it raises `Stopped` when
it was told to stop.
"""

HEARTBEAT_S = 0.25
"""How often `progress` is called at least, whatever the work waits for."""

LEAVE_S = 0.3
"""Time that work which is given up has to tidy up before nobody waits for it."""

REPORT_S = 0.2


def no_progress(message: str, share: float | None) -> None:
    """The `Progress` that shows nothing."""


class ProgressMeter:
    """Reports how far it is, how fast it goes and how long it takes, a few times a second."""

    def __init__(
        self,
        message: str,
        total: int,
        done: Callable[[], int],
        progress: Progress,
        unit: str = "images",
    ) -> None:
        """`done` counts what is done by now, of a `total` of `unit`."""
        self._message, self._total, self._done, self._unit = message, total, done, unit
        self._progress = progress
        self._began, self._before = time.monotonic(), done()
        self._reported = -math.inf

    def update(self) -> None:
        """Call `progress`, unless it was called just now."""
        now = time.monotonic()
        if now - self._reported < REPORT_S:
            return
        self._reported = now
        done, total = self._done(), self._total
        message = f"{self._message}: {grouped(done)} of {grouped(total)}"
        spent, made = now - self._began, done - self._before
        if spent > 1 and made:
            left = (total - done) * spent / made
            message += f", {grouped(round(made / spent))} {self._unit}/s, {duration(left)} left"
        self._progress(message, done / total)


def duration(seconds: float) -> str:
    """In the largest unit of which there are at least one and a half: "3 min"."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class _Abandoned(BaseException):
    """Nobody waits for this work any more; whatever it has started has to end."""


def with_heartbeat(work: Callable[[Progress], T], progress: Progress) -> T:
    """`work(report)` in a thread of its own, while `progress` is called in this one.

    For work that may stand still, on a slow drive or in a large file. What it reports is handed on
    in order, and the last of it again and again. Where `progress` waits, as for a training that is
    paused, the work waits with it as soon as it reports something; what `progress` raises ends the
    work likewise and comes out of here at once.

    Raises:
        whatever `work` or `progress` raises.
    """
    if progress is no_progress:
        return work(progress)
    reports: queue.SimpleQueue[tuple[str, float | None] | None] = queue.SimpleQueue()
    turn = threading.Lock()
    over = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def report(message: str, share: float | None) -> None:
        with turn:
            reports.put((message, share))
        if over.is_set():
            raise _Abandoned

    def run() -> None:
        try:
            results.append(work(report))
        except BaseException as error:
            errors.append(error)
        finally:
            reports.put(None)

    # A daemon: work that waits for a dead drive keeps nobody from leaving.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    last: tuple[str, float | None] | None = None
    try:
        while True:
            try:
                last = reports.get(timeout=HEARTBEAT_S)
                if last is None:
                    break
            except queue.Empty:
                pass
            if last is not None:
                with turn:
                    progress(*last)
    except BaseException:
        over.set()
        thread.join(LEAVE_S)
        raise
    if errors:
        raise errors[0]
    return results[0]


def within(progress: Progress, start: float, end: float) -> Progress:
    """The `Progress` of a part of some work, which is done from share `start` to share `end`."""
    return lambda message, share: progress(message, start + (end - start) * (share or 0.0))
