"""Recording beside the training: what the events of a loop say is written by a thread.

Packing pictures and waiting for a disk take a tenth of the course network's time where the loop
stands still for them, and next to nothing where it goes on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from vae_core.training.checkpoint import copied
from vae_core.training.events import Checkpoint, Event, RolledBack

MOST_WAITING = 64
"""Events that wait to be recorded; where a disk is slower than that, training waits for it."""


class Behind:
    """A recorder that hands every event, in order, to another one in a thread of its own.

    What a step changes is copied first. One save is written at a time: the next one waits for it,
    and so does whoever calls `wait`. What fails in the thread is raised by the next call here;
    nothing is recorded after it. To be entered; leaving waits for all that was handed over.
    """

    def __init__(self, record: Callable[[Event], None], took: Callable[[float], None]) -> None:
        """`took` is told how many seconds the writing of each save has taken."""
        self._record, self._took = record, took
        self._events: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self.saving = False
        """Whether a save is not written yet."""
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def __call__(self, event: Event) -> None:
        """Have an event recorded. Raises what the recorder has raised since."""
        if isinstance(event, Checkpoint):
            self.wait()
            event, self.saving = copied(event), True
        self._events.put(event)
        if isinstance(event, RolledBack):  # its state is taken up, and changed, at once
            self.wait()
        self._raise()

    def wait(self) -> None:
        """Return once all is recorded. Raises as a call does."""
        self._events.join()
        self._raise()

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self._events.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            started = time.monotonic()
            try:
                if self._error is None:
                    self._record(event)
            except BaseException as error:
                self._error = error
            finally:
                if isinstance(event, Checkpoint):
                    self._took(time.monotonic() - started)
                    self.saving = False
                self._events.task_done()
