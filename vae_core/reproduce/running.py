"""A reproduction is an ordinary run under its name: begun, gone on with, measured, recorded."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from vae_core.config import DataConfig, RunConfig
from vae_core.data import datasets
from vae_core.errors import UserError
from vae_core.loading import load_run
from vae_core.progress import Progress, no_progress
from vae_core.reproduce.reproduction import Reproduction
from vae_core.runs import ACTIVE, Run, Store, layout
from vae_core.runs.measured import BINARISED
from vae_core.runs.schemas import Reproduced
from vae_core.training.control import Message, WorkerControl, control_size
from vae_core.training.events import Event, Stepped
from vae_core.training.jobs import create, spawn
from vae_core.training.recorders import Recorder
from vae_core.training.worker import MakeRecorders, work

NAME = "reproduce-{}"
NOT_BEGUN = "not begun"
_TAIL = 64 * 1024
"""Bytes of a history that surely hold a step."""


def run_name(entry: Reproduction) -> str:
    """The name of the run that it is trained as."""
    return NAME.format(entry.name)


def run_of(entry: Reproduction, store: Store) -> Run | None:
    """The run that it is trained as, None before it has begun."""
    return next((run for run in store if run.id == run_name(entry)), None)


def state_of(entry: Reproduction, store: Store) -> str:
    """How far it is, in two words."""
    run = run_of(entry, store)
    if run is None:
        return "not possible here" if entry.problem else NOT_BEGUN
    state = run.status().state
    return "measuring" if state not in ACTIVE and run.is_alive() else state


def begun(entry: Reproduction, store: Store) -> Run:
    """The run of a reproduction: the one that has begun, or a new one.

    Raises:
        UserError: when this version cannot do it, a run of that name has other settings, or
            nothing can be written.
    """
    config, run = entry.config(), run_of(entry, store)
    if run is None:
        return create(store, run_name(entry), config)
    if _decided(run.config_to_train()) not in map(_decided, entry.configs()):
        raise UserError(
            f"Run {run.id!r} has other settings than this version reproduces {entry.label} with. "
            "Rename or delete it, and begin anew."
        )
    return run


def _decided(config: RunConfig) -> dict[str, Any]:
    """A configuration without what a machine decides for itself, which is no part of a result."""
    here = {"train": {"precision", "device", "threads", "track"}}
    return config.model_dump(exclude=here)


class Until(WorkerControl):
    """The control of a worker that also stops by itself, once it has done enough."""

    def __init__(
        self,
        run: Run,
        fraction: float = 1.0,
        seconds: float = math.inf,
        offset: int | None = None,
    ) -> None:
        """`fraction`: of the steps of its schedule; `seconds`: of training, from its first step;
        `offset`: as of any worker, None for all messages that are there now."""
        self.offset = control_size(run) if offset is None else offset
        super().__init__(run, self.offset)
        self.fraction, self._seconds = fraction, seconds
        self._last: float = math.inf
        self._begun: float | None = None
        self._step, self._time = 0, 0.0
        self.had_enough = False
        """Whether it was this that stopped the training."""

    def __call__(self) -> list[Message]:
        messages = super().__call__()
        if self.had_enough or (self._step < self._last and self._time < self._seconds):
            return messages
        self.had_enough = True
        return [*messages, Message("stop")]

    def begin(self, total: int, first: int) -> Recorder:
        """A recorder that hears how far a training is, of so many steps."""
        self._step = first
        self._last = steps_of(total, self.fraction) if self.fraction < 1 else math.inf
        return self._hear

    def _hear(self, event: Event) -> None:
        if isinstance(event, Stepped):
            self._begun = event.seconds if self._begun is None else self._begun
            self._step, self._time = event.step, event.seconds - self._begun


def steps_of(total: int, fraction: float) -> int:
    """The steps of a fraction of a schedule, at least one."""
    return max(1, math.ceil(total * fraction))


def reproduce(
    entry: Reproduction,
    run: Run,
    control: Until | None = None,
    progress: Progress = no_progress,
    more_recorders: MakeRecorders = lambda total, first: (),
) -> Reproduced | None:
    """Train the run of a reproduction as far as it is wanted, measure it, and keep what it came to.

    Args:
        run: as `begun` gives it.
        control: how much of its schedule is trained now; None for all of it. Less is trained by
            the schedule of the whole, and called partial; a later call goes on from there.

    Returns:
        The record, None where somebody stopped the training before.

    Raises:
        UserError: as `worker.work`, or when what was published cannot be measured.
    """
    control = control or Until(run)
    if not 0 < control.fraction <= 1:
        raise UserError(
            f"The fraction of the schedule lies above 0 and is at most 1; {control.fraction:g} is "
            "none."
        )
    with run.lock():
        if not _reached(run, control.fraction):

            def recorders(total: int, first: int) -> list[Recorder]:
                return [control.begin(total, first), *more_recorders(total, first)]

            with control:
                ended = work(run, recorders, progress, control=control)
            if not (ended.finished or control.had_enough):
                return None
        record = _measured(entry, run, progress)
        run.write_json(layout.REPRODUCED, record)
    return record


def start(entry: Reproduction, store: Store, fraction: float = 1.0) -> Run:
    """`reproduce` in the background, in a process of its own that outlives this one.

    Raises:
        UserError: as `begun`, or when another process works on the run.
    """
    run = begun(entry, store)
    if run.is_alive():
        raise UserError(run.busy_message())
    heard = str(control_size(run))  # a stop that is asked before it listens is one
    command = ["reproduce", entry.name, "--fraction", f"{fraction:g}", "--heard", heard]
    lease = run.claim(os.getpid())
    try:
        if not _reached(run, fraction):
            run.set_status(run.status().model_copy(update={"state": "starting", "message": ""}))
        spawn(run, command, run.path.parent)
    except UserError:
        lease.release()
        raise
    return run


def _reached(run: Run, fraction: float) -> bool:
    """Whether its weights are those of so much of its schedule, or of more."""
    status, step = run.status(), run.weights_step() or 0
    return step > 0 and 0 < steps_of(status.total_steps, fraction) <= step <= status.total_steps


def _measured(entry: Reproduction, run: Run, progress: Progress) -> Reproduced:
    progress("Measuring what was published", None)
    started, loaded = time.monotonic(), load_run(run).sound()
    known = {figure.name for figure in entry.figures}
    figures = {name: float(value) for name, value in entry.measure(loaded, progress).items()}
    assert figures.keys() <= known, "a measure gives what the source prints"
    status, environment = run.status(), run.environment()
    return Reproduced(
        name=entry.name,
        figures=figures,
        step=loaded.step,
        total_steps=status.total_steps,
        data=_data(loaded.config.data),
        seed=loaded.config.train.seed,
        training_s=_training_seconds(run),
        measuring_s=round(time.monotonic() - started, 1),
        device=environment.device,
        threads=environment.threads,
        version=environment.version,
        torch=environment.packages.get("torch", ""),
    )


def _data(config: DataConfig) -> str:
    """ "MNIST, statically binarised"."""
    return datasets[config.dataset].label + BINARISED[config.binarise]


def _training_seconds(run: Run) -> float:
    """Seconds that its steps took, of all sessions together."""
    times = [record.get("time") for record in run.last_records(layout.HISTORY, _TAIL)]
    found = [float(each) for each in times if isinstance(each, int | float)]
    return round(max(found, default=0.0), 3)
