"""What the process of a sweep does: keep so many runs at work, look after them, write it all down.

It holds nothing that is not in the sweep's folder, the run folders or the study, so it may be
killed at any moment: the next one reads them and goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from vae_core.errors import LeaseLost, Stopped, UserError
from vae_core.families import complete
from vae_core.runs import Run, layout
from vae_core.runs.process import silence_s
from vae_core.sweeps.spec import Params
from vae_core.sweeps.state import (
    COMMANDS,
    ENDS,
    WITHOUT_WORKER,
    Entry,
    SweepState,
    SweepStateName,
    apply_message,
)
from vae_core.sweeps.storage import StorageError
from vae_core.sweeps.study import SharedStudy, to_journal
from vae_core.sweeps.sweep import Sweep
from vae_core.sweeps.validation import elbo_by_epoch
from vae_core.training.control import send
from vae_core.training.executors import Unreachable, open_executor

POLL_S = 0.25

BEATS = 4
"""Heartbeats of a run in the time after whose silence its machine is taken for dead."""

MAX_ATTEMPTS = 2
"""A worker that was killed is replaced once; a run that kills two of them is given up."""

ELSEWHERE: dict[str, Any] = dict(
    state="elsewhere", message="Another machine does it.", trial=None, reported=False
)
"""What an entry becomes whose point another machine has."""

Watcher = Callable[[SweepState], None]


def work(sweep: Sweep, watch: Watcher = lambda state: None) -> SweepState:
    """Do a sweep's runs until none is left, or until it is told to stop; `watch` is called with
    every new state. A UserError when another process works on it, or its folder is damaged."""
    with sweep.lock():
        sweep.clear_leftovers()
        to_journal(sweep)
        scheduler = Scheduler(sweep, watch)
        with closing(scheduler.executor):
            return scheduler.run()


class Scheduler:
    """One sweep at work."""

    def __init__(self, sweep: Sweep, watch: Watcher = lambda state: None) -> None:
        self.sweep, self.watch, self.store = sweep, watch, sweep.store
        self.spec = sweep.spec_to_run()
        self.state = sweep.written_state()
        if self.state.target != "pause":
            self.state = self.state.model_copy(update={"target": "run"})
        self.study = SharedStudy(sweep)
        self.executor = open_executor(self.spec.place, self.spec.share)
        self.is_shared = self.spec.storage is not None
        self.owner = sweep if self.is_shared else None
        self._commanded: dict[int, str] = {}
        """The last command sent to each entry's worker, so that none is sent twice."""
        self._read: dict[int, int] = {}
        """Of each entry's run: how many bytes of its history the pruner knows."""
        self._adopted: set[int] = set()
        """Entries whose worker outlived its scheduler, for which it may have begun to stop."""
        self._is_known, self._asks_at = False, 0.0

    def run(self) -> SweepState:
        """Schedule until the end; returns the last state."""
        self._recover()
        while True:
            self.sweep.check_lease()
            before = self.state
            self._read_messages()
            for entry in self.state.in_state("running"):
                self._update(entry)
            self._ask_the_study()
            if self._is_known:
                self._fill_workers()
                self._report_results()
            self._set_state()
            if self.state != before or before.state == "starting":
                self._save()
            if self.state.state not in ("running", "paused"):
                return self.state
            time.sleep(POLL_S)

    # --- one round -----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Go on with the runs that an earlier scheduler left when it died or the machine did; where
        others may have taken them over meanwhile, once the study says that they are ours."""
        message = self.state.message if self.state.target == "pause" else ""
        self._change(state="starting", message=message)
        for entry in self.state.in_state("running"):
            run = self._run_of(entry)
            if run is None:
                self._replace(entry, state="waiting", run="")
            elif self.is_shared:
                if not self._has_finished(run):
                    self._replace(entry, state="waiting")
            else:
                with self._or_later():
                    self._resume(entry, run)

    def _read_messages(self) -> None:
        running = {entry.number for entry in self.state.in_state("running")}
        messages, offset = self.sweep.records(layout.CONTROL, self.state.offset)
        for message in messages:
            self.state = apply_message(self.state, message)
        self._change(offset=offset if messages else self.state.offset)
        for entry in self.state.entries:
            if entry.number in running and entry.state == "cancelled":
                self._command(entry, "stop")

    def _ask_the_study(self) -> None:
        """Queue all points when this begins; then let the study hear now and then of what is at
        work here, and hear what became of the rest."""
        if self._is_known and time.monotonic() < self._asks_at:
            return
        standing: dict[int, FrozenTrial] = {}
        with self._or_later(), suppress(Stopped):
            if not self._is_known:
                self.study.fill(self._filling)
                self._is_known = True
            mine = (e for e in self.state.entries if e.state == "running" or not self.is_shared)
            standing = self.study.beat({e.trial for e in mine if e.trial is not None})
            self._asks_at = time.monotonic() + silence_s() / BEATS
            self._storage_ok()
        points: dict[int | None, int] = {each.number: point for point, each in standing.items()}
        entries = [  # numbered otherwise by earlier versions
            entry.model_copy(update={"number": points.get(entry.trial, entry.number)})
            for entry in self.state.entries
        ]
        self._change(entries=tuple(entries))
        for entry in entries:
            if (trial := standing.get(entry.number)) is not None:
                self._settle(entry, trial)

    def _filling(self, message: str, share: float | None) -> None:
        """Say how far the queue is, and look whether it is still wanted."""
        self._change(message=message)
        self._read_messages()
        self._save()
        if self.state.target in ENDS:
            raise Stopped(message)

    def _settle(self, entry: Entry, trial: FrozenTrial) -> None:
        """Bring an entry in line with the trial that counts of its point."""
        is_ours = trial.number == entry.trial and trial.state == TrialState.RUNNING
        if entry.state == "running" and not is_ours:
            self._command(entry, "stop")  # this machine was silent for so long that others did it
            self._replace(entry, **ELSEWHERE)
        elif entry.state == "elsewhere" and trial.state.is_finished():
            message = f"Another machine did it: {trial.state.name.lower()}."
            self._replace(entry, value=trial.value, message=message, reported=True)
        elif entry.state == "elsewhere" and trial.state == TrialState.WAITING:
            self._replace(entry, state="waiting", message="")

    def _update(self, entry: Entry) -> None:
        """Move one entry on by what has become of its run."""
        run = self._run_of(entry)
        if run is None:
            self._replace(entry, state="cancelled", message="Its run was deleted.")
            return
        try:
            status = run.status()
        except UserError as error:
            self._replace(entry, state="failed", message=str(error))
            return
        reason = self._told_of_epochs(entry, run)
        match status.state:
            case "finished":
                self._finish(entry, run)
            case "failed":
                self._replace(entry, state="failed", message=status.message or run.log_tail(5))
            case _ if reason:
                self._command(entry, "stop")
                self._replace(entry, state="pruned", value=None, message=reason)
            case "interrupted" if self.state.target != "run":
                self._replace(entry, **WITHOUT_WORKER[self.state.target])
            case "interrupted" if entry.attempts < MAX_ATTEMPTS:
                with self._or_later():
                    self._resume(entry, run, attempts=entry.attempts + 1)
            case "interrupted":
                tail = run.log_tail(5)
                message = f"Its worker was ended {MAX_ATTEMPTS} times. {tail}".strip()
                self._replace(entry, state="failed", message=message)
            case "stopped" if run.is_alive():
                pass  # it writes its last words
            case "stopped" if self.state.target == "stop":
                self._replace(entry, **WITHOUT_WORKER["stop"])
            case "stopped" if entry.number in self._adopted:
                self._adopted.discard(entry.number)
                with self._or_later():
                    self._resume(entry, run)
            case "stopped":
                self._replace(entry, state="cancelled", message="Stopped by hand.")
            case _:
                self._command(entry, COMMANDS[self.state.target])

    def _told_of_epochs(self, entry: Entry, run: Run) -> str:
        """Tell the pruner of the epochs that it does not know; why it gives the run up, "" where it
        does not."""
        if self.spec.pruner == "none" or entry.trial is None or self.state.target != "run":
            return ""
        try:
            values, offset = elbo_by_epoch(run, self._read.get(entry.number, 0))
        except UserError:
            return ""  # a damaged history; how the run ends is told all the same
        with self._or_later():
            for epoch, value in values.items():
                if self.study.report(entry.trial, epoch, value):
                    return (
                        f"Stopped after epoch {epoch}: an ELBO of {value:.4g} is hopeless beside "
                        f"that of the others ({self.spec.pruner})."
                    ).replace("-", "−")
            self._read[entry.number] = offset
        return ""

    def _fill_workers(self) -> None:
        has_started = True
        while has_started and self.state.target == "run":
            waiting = self.state.in_state("waiting")
            all_busy = len(self.state.in_state("running")) >= self._together()
            if all_busy or not (waiting or self._may_draw()):
                return
            has_started = self._start_next(waiting[0] if waiting else None)

    def _together(self) -> int:
        """How many runs may be at work at a time."""
        room = self.executor.capacity()
        return self.state.workers if room is None else min(self.state.workers, room)

    def _may_draw(self) -> bool:
        return len(self.state.entries) < self.spec.total

    def _start_next(self, entry: Entry | None) -> bool:
        """Start one run; False where that has to wait."""
        has_started = False
        with self._or_later():
            entry = self._draw() if entry is None else self._claim(entry)
            if entry is not None:
                run = self._run_of(entry)
                self._start(entry) if run is None else self._resume(entry, run)
            has_started = True
        return has_started

    def _claim(self, entry: Entry) -> Entry | None:
        """The entry once the study has it as ours; None when another machine has the point."""
        trial = self.study.take(entry.number, entry.trial)
        self._storage_ok()
        if trial is None:
            self._command(entry, "stop")  # if it has a run, that goes on for nobody
            self._replace(entry, **ELSEWHERE)
            return None
        return self._replace(entry, trial=trial.number)

    def _draw(self) -> Entry | None:
        """A new entry, as the sampler drew it; None when there is nothing to draw any more, and
        those of other machines are in the queue."""
        known = {entry.number for entry in self.state.entries}
        drawn = self.study.draw(known)
        others = {} if drawn else self.study.standing()
        self._storage_ok()
        if drawn:
            point, trial = drawn
            return self._append(point, trial.params, trial=trial.number)
        for point in others.keys() - known:
            self._append(point, others[point].params, **ELSEWHERE)
        return None

    def _report_results(self) -> None:
        """Let the study know of results; those that cannot be told now are told later."""
        with self._or_later():
            for entry in self.state.entries:
                if entry.is_to_report and entry.trial is not None:
                    pruned, said = entry.state == "pruned", entry.message
                    is_known = self.study.tell(entry.number, entry.trial, entry.value, pruned, said)
                    self._replace(entry, **({"reported": True} if is_known else ELSEWHERE))
                    self._storage_ok()

    def _set_state(self) -> None:
        running = self.state.in_state("running")
        is_done = all(e.is_over and not e.is_to_report for e in self.state.entries)
        name: SweepStateName = "paused" if self.state.target == "pause" else "running"
        if not running and self.state.target in ENDS:
            name = ENDS[self.state.target]
        elif is_done and not self._may_draw():
            name = "finished"
        self._change(state=name)

    # --- small things --------------------------------------------------------------------------

    def _start(self, entry: Entry) -> None:
        """Create the entry's run and start its worker; settings that do not fit fail it alone."""
        try:
            together = max(1, min(self._together(), self.spec.total))
            threads = self.executor.threads(together)
            config = complete(self.spec.config(entry.params, threads))
        except UserError as error:
            self._replace(entry, state="failed", message=str(error))
            return
        name = self.store.free_name(self.spec.run_name(self.sweep.id, entry.params))
        entry = self._replace(entry, run=name)
        self._save()  # so that a scheduler that comes later knows whose run it is
        self.executor.submit(self.store, name, config, self.owner)
        self._replace(entry, state="running", attempts=1)

    def _resume(self, entry: Entry, run: Run, **changes: Any) -> None:
        """Put a worker to a run that was begun before, unless it has one or needs none."""
        if run.status().state in ("interrupted", "stopped"):
            self.executor.resume(run, self.owner)
        elif self.is_shared:
            self._adopted.add(entry.number)
        self._replace(entry, state="running", **changes)
        self._commanded.pop(entry.number, None)

    def _finish(self, entry: Entry, run: Run) -> None:
        summary = run.summary()
        value = summary.get("elbo")
        value = -summary["recon"] if value is None else value
        self._replace(entry, state="finished", value=value, message="")

    def _has_finished(self, run: Run) -> bool:
        try:
            return run.status().state == "finished"
        except UserError:
            return True  # it is damaged, as the first round says

    def _command(self, entry: Entry, command: str) -> None:
        """Send a message to a run's worker, once."""
        run = self._run_of(entry)
        if run is not None and self._commanded.get(entry.number, "resume") != command:
            self._commanded[entry.number] = command
            send(run, {"command": command})

    def _run_of(self, entry: Entry) -> Run | None:
        """The entry's run, None where it has none yet or it was deleted."""
        try:
            run = self.store.get(entry.run) if entry.run else None
        except UserError:
            return None
        return run if run is not None and run.has(layout.CONFIG) else None

    @contextmanager
    def _or_later(self) -> Iterator[None]:
        """Where the block cannot go on now, the message says why, and a later round tries again:
        where somebody has to mend it, such as a full disk, once the sweep is resumed."""
        try:
            yield
        except StorageError as error:
            why = str(error).rstrip(".")
            self._change(message=f"{why}. Runs go on; their results are told later.")
        except Unreachable as error:
            self._change(message=str(error))
        except UserError as error:
            self._change(target="pause", message=f"Paused. {error} Mend that, then resume.")

    def _storage_ok(self) -> None:
        if self.state.target == "run":  # else the message says why it waits
            self._change(message="")

    def _append(self, point: int, params: Params, **more: Any) -> Entry:
        entry = Entry(number=point, params=params, **more)
        self._change(entries=(*self.state.entries, entry))
        return entry

    def _replace(self, entry: Entry, **changes: Any) -> Entry:
        changed = entry.model_copy(update=changes)
        self.state = self.state.replaced(changed)
        return changed

    def _change(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes)

    def _save(self) -> None:
        try:
            self.sweep.write_json(layout.SWEEP_STATE, self.state)
        except LeaseLost:
            raise
        except UserError as error:  # tried again with the next change; the runs go on
            with suppress(OSError):  # the log may be full as well
                print(error, file=sys.stderr)
        self.watch(self.state)
