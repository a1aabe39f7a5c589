"""The queue of a sweep and what people ask of it: plain values, changed by pure functions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, FailFast, Field

from vae_core.runs.schemas import Count, Short, cut
from vae_core.runs.store import is_run_name
from vae_core.settings import Settings
from vae_core.sweeps.spec import BETA, Value

EntryState = Literal["waiting", "running", "finished", "failed", "pruned", "cancelled", "elsewhere"]
SweepStateName = Literal[
    "starting", "running", "paused", "finished", "stopped", "cancelled", "failed", "interrupted"
]
Target = Literal["run", "pause", "stop", "cancel"]
"""What the sweep is asked to do."""

ACTIVE: frozenset[SweepStateName] = frozenset({"starting", "running", "paused"})

OVER: frozenset[EntryState] = frozenset({"finished", "failed", "pruned", "cancelled"})

COMMANDS: dict[Target, str] = {"run": "resume", "pause": "pause", "stop": "stop", "cancel": "stop"}
"""The message to a running worker when the sweep is to do this."""

WITHOUT_WORKER: dict[Target, dict[str, Any]] = {
    "pause": {},
    "stop": {"state": "waiting"},
    "cancel": {"state": "cancelled", "message": "Its worker was ended."},
}
"""What becomes of a running entry that has no worker when the sweep is to do this."""

ENDS: dict[Target, SweepStateName] = {"stop": "stopped", "cancel": "cancelled"}

PAUSED_BY_HAND = "Paused by hand; its runs hold still until it is resumed."

MAX_ENTRIES = 10_000


def _numeric_beta(params: dict[str, Any]) -> dict[str, Any]:
    """β is what runs are ordered by."""
    if isinstance(params.get(BETA, 0.0), bool | str):
        raise ValueError(f"{BETA} is no number")
    return params


def _run_name(name: str) -> str:
    """Another name would lead out of the store."""
    if name and not is_run_name(name):
        raise ValueError("it is no name of a run")
    return name


class Stored(Settings):
    """By the names that its fields have in state.json."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)


class Entry(Stored):
    """One run of a sweep.

    number: its name for messages, fixed however the queue is ordered; which point of the sweep it
        is, in Optuna's study too.
    trial: of the study's trials of this point, the one that this machine has.
    attempts: how often a worker was started for it; a killed one is replaced once.
    value: the ELBO on validation images, or −recon where there is none.
    reported: whether the study knows how it ended.
    elsewhere: another machine that shares the study does it, or has done it where it is reported.
    pruned: it was stopped because its ELBO was hopeless beside that of the others.
    """

    number: Count
    params: Annotated[dict[Short, Value], AfterValidator(_numeric_beta)]
    state: EntryState = "waiting"
    run: Annotated[str, AfterValidator(_run_name)] = ""
    trial: int | None = None
    attempts: Count = 0
    value: float | None = None
    message: Annotated[str, BeforeValidator(cut)] = ""
    reported: bool = Field(default=False, alias="told")

    @property
    def is_over(self) -> bool:
        """True once nothing will happen to it any more."""
        return self.state in OVER or (self.state == "elsewhere" and self.reported)

    @property
    def is_to_report(self) -> bool:
        """True where it is over and the study, which has a trial of it, does not know how."""
        return self.is_over and not self.reported and self.trial is not None


class SweepState(Stored):
    """Where a sweep stands. `entries` are in the order of the queue.

    offset: bytes of control.jsonl that have been obeyed.
    """

    state: SweepStateName = "starting"
    target: Target = Field(default="run", alias="wish")
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    entries: Annotated[tuple[Entry, ...], FailFast(), Field(max_length=MAX_ENTRIES)] = ()
    offset: Count = Field(default=0, alias="heard")
    message: Annotated[str, BeforeValidator(cut)] = ""

    def entry(self, number: int) -> Entry:
        """The entry with this number."""
        return next(entry for entry in self.entries if entry.number == number)

    def replaced(self, changed: Entry) -> SweepState:
        """A copy with one entry replaced."""
        entries = tuple(changed if e.number == changed.number else e for e in self.entries)
        return self.model_copy(update={"entries": entries})

    def in_state(self, state: EntryState) -> list[Entry]:
        """The entries in one state, in the order of the queue."""
        return [entry for entry in self.entries if entry.state == state]


def apply_message(state: SweepState, message: dict[str, Any]) -> SweepState:
    """What a message makes of the state; one that is not understood changes nothing.

    pause, resume, stop, cancel: of the whole sweep. drop: one entry, {"number": 3}.
    order: numbers of waiting entries, first come first. workers: {"count": 2}.
    """
    match message:
        case {"command": "pause"}:
            return state.model_copy(update={"target": "pause", "message": PAUSED_BY_HAND})
        case {"command": "stop"}:
            return state.model_copy(update={"target": "stop", "message": ""})
        case {"command": "resume"}:
            return state.model_copy(update={"target": "run", "message": ""})
        case {"command": "cancel"}:
            left = tuple(_cancelled(e) if e.state == "waiting" else e for e in state.entries)
            return state.model_copy(update={"target": "cancel", "entries": left, "message": ""})
        case {"command": "drop", "number": int(number)}:
            gone = (e for e in state.entries if e.number == number and not e.is_over)
            for entry in gone:
                return state.replaced(_cancelled(entry))
        case {"command": "order", "numbers": list(numbers)}:
            return _ordered(state, numbers)
        case {"command": "workers", "count": int(count)} if 1 <= count <= 256:
            return state.model_copy(update={"workers": count})
    return state


def _cancelled(entry: Entry) -> Entry:
    return entry.model_copy(update={"state": "cancelled"})


def _ordered(state: SweepState, numbers: list[Any]) -> SweepState:
    """Waiting entries in the order asked for, those not named behind; others keep their places."""
    waiting = state.in_state("waiting")
    place = {number: index for index, number in enumerate(numbers) if isinstance(number, int)}
    queue = iter(sorted(waiting, key=lambda entry: place.get(entry.number, len(numbers))))
    entries = tuple(next(queue) if e.state == "waiting" else e for e in state.entries)
    return state.model_copy(update={"entries": entries})
