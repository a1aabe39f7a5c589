"""Work that may stand still, on a slow drive or in a large file, beside somebody who does not."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from vae_core.data.dataset import Progress, no_progress

T = TypeVar("T")

EVERY_S = 0.25
"""How often `progress` is called at least, whatever the work waits for."""

LEAVE_S = 0.3
"""Time that work which is given up has to tidy up before nobody waits for it."""


class Abandoned(BaseException):
    """Nobody waits for this work any more; whatever it has started has to end."""


def patiently(work: Callable[[Progress], T], progress: Progress) -> T:
    """`work(tell)` in a thread of its own, while `progress` is called in this one.

    What the work tells is handed on in order, and the last of it again and again. Where
    `progress` waits, as for a training that is paused, the work waits with it as soon as it tells
    something; what `progress` raises ends the work likewise and comes out of here at once.

    Raises:
        whatever `work` or `progress` raises.
    """
    if progress is no_progress:
        return work(progress)
    told: queue.SimpleQueue[tuple[str, float | None] | None] = queue.SimpleQueue()
    turn = threading.Lock()
    over = threading.Event()
    results: list[T] = []
    problems: list[BaseException] = []

    def tell(message: str, share: float | None) -> None:
        with turn:
            told.put((message, share))
        if over.is_set():
            raise Abandoned

    def run() -> None:
        try:
            results.append(work(tell))
        except BaseException as error:
            problems.append(error)
        finally:
            told.put(None)

    # A daemon: work that waits for a dead drive keeps nobody from leaving.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    said: tuple[str, float | None] | None = None
    try:
        while True:
            try:
                said = told.get(timeout=EVERY_S)
                if said is None:
                    break
            except queue.Empty:
                pass
            if said is not None:
                with turn:
                    progress(*said)
    except BaseException:
        over.set()
        thread.join(LEAVE_S)
        raise
    if problems:
        raise problems[0]
    return results[0]
