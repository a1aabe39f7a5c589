"""Messages to a running worker, through a file in the run folder."""

from __future__ import annotations

import json
import math

from vae_core.runs import Run
from vae_core.training.events import Message

FILE = "control.jsonl"
COMMANDS = frozenset({"pause", "resume", "stop", "save", "set"})


def send(run: Run, message: dict[str, object]) -> None:
    """Append a message for the run's worker, which reads it before its next step."""
    run.append(FILE, message)


class ControlFile:
    """The loop's control channel: what was appended since the last look."""

    def __init__(self, run: Run) -> None:
        self._path = run.file(FILE)
        self._path.touch()
        self._offset = 0

    def __call__(self) -> list[Message]:
        if self._path.stat().st_size <= self._offset:
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [message for line in whole.splitlines() if (message := parse(line)) is not None]


def parse(line: bytes) -> Message | None:
    """A message from one line, None for anything that is not a well-formed one."""
    try:
        raw = json.loads(line)
        message = Message(raw["command"], str(raw.get("name", "")), float(raw.get("value", 0.0)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return message if message.command in COMMANDS and math.isfinite(message.value) else None
