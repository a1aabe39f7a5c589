"""What a worker is asked, by a signal or through the folder of its run, heard in every phase."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from vae_core.errors import Stopped
from vae_core.runs import Run, State
from vae_core.training.control import ControlFile
from vae_core.training.events import Message

POLL_S = 0.05
"""How often a paused worker looks for a wish; it sleeps in between."""

TO_SPARE_S = 0.8
"""What follows a stop, such as encoding the images, may take so long; see `Wishes.progress`."""

TELL_EVERY_S = 0.5

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Wishes:
    """The worker's one ear. While it is entered, SIGINT and SIGTERM are wishes to stop, and a
    second SIGINT interrupts at once.

    The loop takes the wishes between steps (`__call__`). Whatever else takes long has `progress`,
    which obeys them by itself. Both read the same channel, so that no wish is heard twice.
    """

    def __init__(self, run: Run, heard: int) -> None:
        """`heard`: bytes of the control file that were meant for an earlier worker."""
        self._run = run
        self._control = ControlFile(run, heard)
        self._asked: list[Message] = []
        self._later: list[Message] = []
        self._before: dict[signal.Signals, Any] = {}
        self._stopped_at: float | None = None
        self._told, self._told_at = ("", False), 0.0
        self._awake: State = "starting"
        self.doing = "Starting"
        """What goes on, as the last call of `progress` said it."""
        self.began = False
        """True once a worker holds the run; before that it is being started."""

    def __enter__(self) -> Wishes:
        self._before = {number: signal.signal(number, self._ask) for number in STOPPING}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> list[Message]:
        """The loop's control channel: what was asked since the last look, in order."""
        asked, self._asked = self._asked, []
        later, self._later = self._later, []
        messages = [*later, *asked, *self._control()]
        if self._stopped_at is None and any(m.command == "stop" for m in messages):
            self._stopped_at = time.monotonic()
        return messages

    def progress(self, message: str, share: float | None = None) -> None:
        """A `Progress` that obeys: it waits while the run is paused. Other wishes are kept for the
        loop.

        Raises:
            Stopped: when a stop is asked; after a stop that the loop has taken, once the second
                is over that the rest may take.
        """
        self.doing = message
        taken = self._stopped_at
        paused, kept = False, []
        while True:
            for each in self():
                match each.command:
                    case "stop":
                        raise Stopped(message)
                    case "pause" | "resume":
                        paused = each.command == "pause"
                    case _:
                        kept.append(each)
            if taken is not None and time.monotonic() - taken > TO_SPARE_S:
                raise Stopped(message)
            self._tell(message, share, paused)
            if not paused:
                break
            time.sleep(POLL_S)
        self._later = kept

    def _tell(self, doing: str, share: float | None, paused: bool) -> None:
        """Say in the run what goes on, often enough to be watched."""
        told, due = (doing, paused), time.monotonic() - self._told_at >= TELL_EVERY_S
        if told == self._told and (paused or share is None or not due):
            return
        said = self._run.status()
        if said.state != "paused":
            self._awake = said.state
        state = "paused" if paused else self._awake
        message = doing if share is None else f"{doing}, {share:.0%}"
        self._run.set_status(said.model_copy(update={"state": state, "message": message}))
        self._told, self._told_at = told, time.monotonic()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(Message("stop"))
        signal.signal(signal.SIGINT, signal.default_int_handler)
