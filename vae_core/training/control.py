"""Control of a running worker: stop signals and messages in the run folder, in every phase."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from vae_core.errors import Stopped
from vae_core.runs import Run, State, layout
from vae_core.runs.layout import AT_ONCE

FILE = layout.CONTROL
LONGEST_SHOWN = 80

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

POLL_S = 0.05
"""How often a paused worker looks for messages; it sleeps in between."""

FINISH_S = 0.8
"""What follows a stop, such as encoding the images, may take so long."""

STATUS_EVERY_S = 0.5


@dataclass(frozen=True)
class Message:
    """A request from outside; `name` and `value` belong to `set`.

    `refuse` is what the channel makes of a message that it cannot read; `name` is the sentence.
    """

    command: Literal["pause", "resume", "stop", "save", "set", "refuse"]
    name: str = ""
    value: float = 0.0


Control = Callable[[], list[Message]]
"""Where the loop looks for messages, once a step: those since the last call. It must not wait."""

no_control: Control = list
"""The control channel that is always empty."""


def send(run: Run, message: dict[str, object]) -> None:
    """Append a message for the run's worker, which reads it before its next step."""
    run.append(FILE, message)


def control_size(run: Run) -> int:
    """Bytes of messages in the run: those to an earlier worker, if there is none now."""
    return run.size(FILE)


class ControlFile:
    """The messages that were appended to a run's control file since the last look."""

    def __init__(self, run: Run, offset: int) -> None:
        """`offset`: bytes of the file that were meant for an earlier worker."""
        self._run = run
        self._offset = offset

    def __call__(self) -> list[Message]:
        """What was appended since. A LeaseLost when the run was deleted or taken over, which no
        message has to say."""
        self._run.check_lease()
        size = self._run.size(FILE)
        self._offset = min(self._offset, size)  # it was removed: all of it is new
        if size == self._offset:
            return []
        try:
            with self._run.opened(FILE) as file:
                file.seek(self._offset)
                lines = file.read(AT_ONCE)
        except OSError:  # the network is away, say: looked for again before the next step
            return []
        whole = lines[: lines.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [parse(line) or _not_understood(line) for line in whole.splitlines() if line.strip()]


def parse(line: bytes) -> Message | None:
    """A message from one line, None for anything that is not a well-formed one.

    `set` needs the name of a control and a finite number; whether the run's objective has that
    control and takes that number, the loop knows.
    """
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match raw:
        case {"command": "pause" | "resume" | "stop" | "save" as command}:
            return Message(command)
        case {"command": "set", "name": str(name), "value": int() | float() as value}:
            if type(value) is not bool and abs(value) <= sys.float_info.max:  # False for NaN
                return Message("set", name, float(value))
    return None


def _not_understood(line: bytes) -> Message:
    shown = line.decode("utf-8", "replace").strip()
    if len(shown) > LONGEST_SHOWN:
        shown = shown[: LONGEST_SHOWN - 1] + "…"
    return Message("refuse", f"A message was not understood and changed nothing: {shown}")


class WorkerControl:
    """Stop signals and the control file as one channel. While it is entered, SIGINT and SIGTERM
    ask for a stop, and a second SIGINT interrupts at once.

    The loop takes messages between steps (`__call__`); whatever else takes long calls `progress`,
    which obeys them by itself. Each message is delivered once.
    """

    def __init__(self, run: Run, offset: int) -> None:
        """`offset`: bytes of the control file that were meant for an earlier worker."""
        self._run = run
        self._file = ControlFile(run, offset)
        self._signals: list[Message] = []
        self._deferred: list[Message] = []
        self._handlers: dict[signal.Signals, Any] = {}
        self._stopped_at: float | None = None
        self._reported, self._reported_at = ("", False), 0.0
        self._state_before_pause: State = "starting"
        self.activity = "Starting"
        """What goes on, as the last call of `progress` said it."""
        self.started = False
        """True once a worker holds the run; before that it is being started."""
        self.saving: Callable[[], bool] = lambda: False
        """Whether a save is being written, beside whatever else goes on."""

    def __enter__(self) -> WorkerControl:
        self._handlers = {each: signal.signal(each, self._on_signal) for each in STOP_SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __call__(self) -> list[Message]:
        """The loop's control channel: the messages since the last look, in order."""
        signals, self._signals = self._signals, []
        deferred, self._deferred = self._deferred, []
        messages = [*deferred, *signals, *self._file()]
        if self._stopped_at is None and any(m.command == "stop" for m in messages):
            self._stopped_at = time.monotonic()
        return messages

    def progress(self, message: str, share: float | None = None) -> None:
        """A `Progress` that obeys: it waits while the run is paused. Other messages are deferred
        to the loop. Stopped is raised when a stop is asked; after a stop that the loop has taken,
        once `FINISH_S` are over."""
        self.activity = message
        stopped_at = self._stopped_at
        paused, deferred = False, []
        while True:
            for each in self():
                match each.command:
                    case "stop":
                        raise Stopped(message)
                    case "pause" | "resume":
                        paused = each.command == "pause"
                    case _:
                        deferred.append(each)
            if stopped_at is not None and time.monotonic() - stopped_at > FINISH_S:
                raise Stopped(message)
            self._report(message, share, paused)
            if not paused:
                break
            time.sleep(POLL_S)
        self._deferred = deferred

    def _report(self, activity: str, share: float | None, paused: bool) -> None:
        """Write into the run's status what goes on, often enough to be watched."""
        due = time.monotonic() - self._reported_at >= STATUS_EVERY_S
        if (activity, paused) == self._reported and (paused or share is None or not due):
            return
        status = self._run.status()
        if status.state != "paused":
            self._state_before_pause = status.state
        state = "paused" if paused else self._state_before_pause
        message = activity if share is None else f"{activity}, {share:.0%}"
        self._run.set_status(status.model_copy(update={"state": state, "message": message}))
        self._reported, self._reported_at = (activity, paused), time.monotonic()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(Message("stop"))
        signal.signal(signal.SIGINT, signal.default_int_handler)
