"""A run's history.jsonl in memory: read once, extended as the file grows, shared by its clients.

A cursor says how much of it a client has; `full` and `since` make what is sent.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from latent_workbench.live.columns import MAX_POINTS, Columns, Limits, all_series, heat, short
from vae_core.runs import Run, layout
from vae_core.runs.schemas import LONGEST_TEXT

_FINGERPRINT = 96  # bytes before the offset that must still be there when more is read
MAX_MARKS = 200
"""Most marks in one message: the newest."""
_TAIL = 64 * 1024  # bytes that surely hold a step

OF_STEPS = ("gradient_norm", "learning_rate")
"""What records of steps tell of the model beside its terms; early runs did not."""

HISTORY = layout.HISTORY

MOST_CELLS, MOST_LISTED = 2**21, 10_000
"""Moments × dimensions of the KL, and previews or changes by hand, that are kept in memory."""


@dataclass(frozen=True)
class Cursor:
    """How much of a history a client holds; `generation` changes when the file starts over."""

    generation: int = -1
    train: int = 0
    validation: int = 0
    kl: int = 0
    changes: int = 0
    marks: int = 0
    previews: int = 0


@dataclass
class _Content:
    train: Columns = field(default_factory=Columns)
    validation: Columns = field(default_factory=Columns)
    kl_steps: list[int] = field(default_factory=list)
    kl: list[list[float | None]] = field(default_factory=list)
    cells: int = 0
    changes: list[dict[str, float | None]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    """What went wrong on the way: steps that were skipped, and returns to a save."""
    previews: list[int] = field(default_factory=list)
    note: str = ""
    beta: float | None = None
    measured: int | None = None
    """Images that the newest validation measured; early runs did not record it."""


class History:
    """One run's history in memory. `refresh` reads what is new; safe to use from threads."""

    def __init__(self, run: Run) -> None:
        self._offset = 0
        self._run = run
        self._lock = threading.Lock()
        self._generation = 0
        self._fingerprint = b""
        self._restart()

    def refresh(self) -> None:
        """Read the records written since the last call; start over if the file was rewritten."""
        with self._lock:
            # The file still holds, before the offset, what was read there; else it was rewritten.
            if self._bytes_before(self._offset) != self._fingerprint:
                self._generation += 1
                self._restart()
            before = self._halved()
            for record, end in self._run.some_records(HISTORY, self._offset):
                self._take(record)
                self._offset = end
            if self._halved() != before:  # rows that clients count have gone
                self._generation += 1
            self._fingerprint = self._bytes_before(self._offset)

    def full(self, limits: Limits | None = None) -> tuple[dict[str, Any], Cursor]:
        """Everything, each series decimated to at most `MAX_POINTS`, and the cursor after it.

        `restart` in it says that it takes the place of whatever the client holds.

        Args:
            limits: what is looked at; most points are then spent inside, the rest is coarse.
        """
        with self._lock:
            end = self._end()
            decimated = max(end.train, end.validation) > MAX_POINTS
            everything = self._lacking(Cursor(), limits)
            return {"restart": True, "decimated": decimated, **everything}, end

    def since(self, cursor: Cursor, limits: Limits | None = None) -> tuple[dict[str, Any], Cursor]:
        """What a client at `cursor` lacks, {} if nothing; `full` if the file has started over.

        Args:
            limits: what the client looks at, for a `full` answer.
        """
        with self._lock:
            end = self._end()
            if cursor == end:
                return {}, end
            if cursor.generation == end.generation and end.train - cursor.train <= MAX_POINTS:
                message = self._lacking(cursor, None)
                return {k: v for k, v in message.items() if v not in ({}, [], "")}, end
        return self.full(limits)

    # --- inside ------------------------------------------------------------------------------

    def _lacking(self, cursor: Cursor, limits: Limits | None) -> dict[str, Any]:
        """What has come after the cursor, and what holds now."""
        content = self._content
        return {
            "train": all_series(content.train, cursor.train, limits),
            "validation": all_series(content.validation, cursor.validation, limits),
            "kl": heat(content.kl_steps[cursor.kl :], content.kl[cursor.kl :]),
            "changes": content.changes[cursor.changes :],
            "marks": content.marks[cursor.marks :][-MAX_MARKS:],
            "previews": content.previews[cursor.previews :],
            **self._now(),
        }

    def _restart(self) -> None:
        self._content = _Content()
        self._offset = 0
        self._fingerprint = b""

    def _bytes_before(self, offset: int) -> bytes:
        if offset == 0:
            return b""
        start = max(0, offset - _FINGERPRINT)
        try:
            with self._run.opened(HISTORY) as file:
                file.seek(start)
                return file.read(offset - start)
        except OSError:  # gone, or no longer a file: it starts over, and reading tells
            return b""

    def _halved(self) -> int:
        return self._content.train.halved + self._content.validation.halved

    def _end(self) -> Cursor:
        content = self._content
        return Cursor(
            self._generation,
            content.train.rows,
            content.validation.rows,
            len(content.kl),
            len(content.changes),
            len(content.marks),
            len(content.previews),
        )

    def _now(self) -> dict[str, Any]:
        validation = self._content.validation
        active = validation["active"][-1] if "active" in validation.names() else math.nan
        now = {
            "active_units": int(active) if math.isfinite(active) else None,
            "beta": self._content.beta,
            "note": self._content.note,
            "measured": self._content.measured,
        }
        return {key: value for key, value in now.items() if value is not None}

    def _take(self, record: dict[str, Any]) -> None:
        try:
            take = _TAKERS.get(record["kind"])
            if take is not None:
                take(self._content, record)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self._content.note = f"Some lines of {HISTORY} are damaged and were left out."


# --- one function for each kind of record --------------------------------------------------------


def _take_step(content: _Content, record: dict[str, Any]) -> None:
    content.train.append(_row(record))
    content.beta = short(record.get("beta", content.beta))


def _take_validation(content: _Content, record: dict[str, Any]) -> None:
    active = record.get("active_units")
    row = _row(record)
    images = record.get("images", content.measured)
    content.measured = None if images is None else int(images)
    content.validation.append(row if active is None else {**row, "active": float(active)})
    _take_kl(content, record)


def _take_preview(content: _Content, record: dict[str, Any]) -> None:
    step = int(record["step"])
    if content.previews[-1:] != [step]:  # drawn once more, of the weights that a run ends with
        _append(content.previews, step)
    _take_kl(content, record)


def _take_set(content: _Content, record: dict[str, Any]) -> None:
    train = content.train
    time = train["time"][-1] if train.rows else 0.0
    if record.get("name", "beta") != "beta":
        return
    content.beta = short(record["value"])
    change = {"step": int(record["step"]), "time": short(time), "value": content.beta}
    _append(content.changes, change)


def _take_mark(content: _Content, record: dict[str, Any]) -> None:
    message, time = str(record["message"]), short(record.get("time", 0.0))
    mark = {"step": record["step"], "time": time, "kind": record["kind"], "message": message}
    content.marks.append(mark)
    content.note = message


def _take_note(content: _Content, record: dict[str, Any]) -> None:
    content.note = str(record["message"])[:LONGEST_TEXT]


_TAKERS = {
    "step": _take_step,
    "validation": _take_validation,
    "preview": _take_preview,
    "set": _take_set,
    "note": _take_note,
    "skipped": _take_mark,
    "went_back": _take_mark,
}


def _take_kl(content: _Content, record: dict[str, Any]) -> None:
    values = record.get("kl_per_dim")
    if values:
        step, shown = int(record["step"]), [short(value) for value in values]
        content.cells += len(shown)
        if content.cells > MOST_CELLS:
            raise ValueError("too many moments")
        content.kl_steps.append(step)
        content.kl.append(shown)


def _append(listed: list[Any], value: Any) -> None:
    if len(listed) == MOST_LISTED:
        raise ValueError("too many")
    listed.append(value)


def _row(record: dict[str, Any]) -> dict[str, float]:
    if not math.isfinite(record["step"]):
        raise ValueError("no step")
    terms = {f"y:{name}": float(value) for name, value in record.get("terms", {}).items()}
    row = {"step": float(record["step"]), "time": float(record.get("time", math.nan)), **terms}
    row |= {f"y:{name}": float(record[name]) for name in OF_STEPS if record.get(name) is not None}
    total = record.get("total")
    return row if total is None else {**row, "y:total": float(total)}


def latest_beta(run: Run) -> float | None:
    """β as the end of the history has it; None where nothing was recorded or there is no β."""
    for record in reversed(run.last_records(HISTORY, _TAIL)):
        is_set = record.get("kind") == "set" and record.get("name", "beta") == "beta"
        beta = record.get("value" if is_set else "beta")
        if isinstance(beta, float | int) and math.isfinite(beta):
            return float(beta)
    return None


def latest_weights(run: Run) -> dict[str, float]:
    """The weights of the newest step by the name of their term; {} where none was recorded."""
    for record in reversed(run.last_records(HISTORY, _TAIL)):
        weights = record.get("weights")
        if isinstance(weights, dict):
            return {
                name: float(value)
                for name, value in weights.items()
                if isinstance(value, float | int) and math.isfinite(value)
            }
    return {}
