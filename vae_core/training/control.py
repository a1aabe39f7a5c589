"""Messages to a running worker, through a file in the run folder."""

from __future__ import annotations

import json
import math

from vae_core.runs import Run, layout
from vae_core.runs.layout import AT_ONCE
from vae_core.training.events import Message

FILE = layout.CONTROL
COMMANDS = frozenset({"pause", "resume", "stop", "save", "set"})
LONGEST_SHOWN = 80


def send(run: Run, message: dict[str, object]) -> None:
    """Append a message for the run's worker, which reads it before its next step."""
    run.append(FILE, message)


def said_so_far(run: Run) -> int:
    """Bytes of messages in the run: what an earlier worker was told, if there is none now."""
    return run.size(FILE)


class ControlFile:
    """The loop's control channel: what was appended since the last look."""

    def __init__(self, run: Run, heard: int) -> None:
        """`heard`: bytes of the file that were meant for an earlier worker."""
        self._run = run
        self._offset = heard

    def __call__(self) -> list[Message]:
        """What was appended since.

        Raises:
            LeaseLost: when the run was deleted or taken over, which nobody has to say here.
        """
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
        command = raw["command"]
        if command not in COMMANDS:
            return None
        if command != "set":
            return Message(command)
        name, value = raw["name"], raw["value"]
        if not isinstance(name, str) or type(value) not in (int, float):
            return None
        message = Message(command, name, float(value))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return message if math.isfinite(message.value) else None


def _not_understood(line: bytes) -> Message:
    shown = line.decode("utf-8", "replace").strip()
    if len(shown) > LONGEST_SHOWN:
        shown = shown[: LONGEST_SHOWN - 1] + "…"
    return Message("refuse", f"A message was not understood and changed nothing: {shown}")
