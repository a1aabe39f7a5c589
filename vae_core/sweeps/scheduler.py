"""What the process of a sweep does: keep so many runs at work, look after them, write it all down.

It holds nothing that is not in the sweep's folder, the run folders or the study, so it may be
killed at any moment: the next one reads them and goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vae_core.errors import LeaseLost, UserError
from vae_core.families import complete
from vae_core.runs import Run, layout
from vae_core.sweeps.ledger import Ledger
from vae_core.sweeps.state import AT_REST, COMMANDS, ENDS, Entry, SweepState, SweepStateName, obey
from vae_core.sweeps.study import StorageError
from vae_core.sweeps.sweep import Sweep
from vae_core.training import jobs

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

POLL_S = 0.25

ATTEMPTS = 2
"""A worker that was killed is replaced once; a run that kills two of them is given up."""

THEIRS: dict[str, Any] = dict(state="elsewhere", message="Another machine does it.", told=True)
"""What an entry becomes whose trial another machine took."""

Watch = Callable[[SweepState], None]


def work(sweep: Sweep, watch: Watch = lambda state: None) -> SweepState:
    """Do a sweep's runs until none is left, or until it is told to stop.

    Args:
        watch: called with every new state.

    Raises:
        UserError: when another process works on it, or its folder is damaged.
    """
    with sweep.lock():
        sweep.clear_leftovers()
        return Scheduler(sweep, watch).run()


class Scheduler:
    """One sweep at work."""

    def __init__(self, sweep: Sweep, watch: Watch = lambda state: None) -> None:
        self.sweep, self.watch, self.store = sweep, watch, sweep.store
        self.spec = sweep.spec_to_run()
        self.state = sweep.last_status()
        if self.state.wish != "pause":
            self.state = self.state.model_copy(update={"wish": "run"})
        self.ledger = Ledger(sweep)
        self._asked: dict[int, str] = {}
        """The last command sent to each entry's worker, so that none is sent twice."""

    def run(self) -> SweepState:
        """Schedule until the end; returns the last state."""
        self._take_up()
        while True:
            self.sweep.check_lease()
            before = self.state
            self._listen()
            for entry in self.state.of("running"):
                self._look_after(entry)
            self._start_what_fits()
            self._tell_what_ended()
            self._name_the_state()
            if self.state != before or before.state == "starting":
                self._save()
            if self.state.state not in ("running", "paused"):
                return self.state
            time.sleep(POLL_S)

    # --- one round -----------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on with the runs that an earlier scheduler left when it died or the machine did."""
        said = self.state.message if self.state.wish == "pause" else ""
        self._change(state="starting", message=said)
        for entry in self.state.of("running"):
            run = self._run_of(entry)
            if run is None:
                self._put(entry, state="waiting", run="")
            else:
                self._try_to_go_on(entry, run)

    def _listen(self) -> None:
        running = {entry.number for entry in self.state.of("running")}
        messages, heard = self.sweep.records(layout.CONTROL, self.state.heard)
        for message in messages:
            self.state = obey(self.state, message)
        self._change(heard=heard if messages else self.state.heard)
        for entry in self.state.entries:
            if entry.number in running and entry.state == "cancelled":
                self._command(entry, "stop")

    def _look_after(self, entry: Entry) -> None:
        """Move one entry on by what has become of its run."""
        run = self._run_of(entry)
        if run is None:
            self._put(entry, state="cancelled", message="Its run was deleted.")
            return
        try:
            status = run.status()
        except UserError as error:
            self._put(entry, state="failed", message=str(error))
            return
        match status.state:
            case "finished":
                self._finish(entry, run)
            case "failed":
                self._put(entry, state="failed", message=status.message or run.log_tail(5))
            case "interrupted" if self.state.wish != "run":
                self._put(entry, **AT_REST[self.state.wish])
            case "interrupted" if entry.attempts < ATTEMPTS:
                self._try_to_go_on(self._put(entry, attempts=entry.attempts + 1), run)
            case "interrupted":
                tail = run.log_tail(5)
                message = f"Its worker was ended {ATTEMPTS} times. {tail}".strip()
                self._put(entry, state="failed", message=message)
            case "stopped" if run.is_alive():
                pass  # it writes its last words
            case "stopped" if self.state.wish == "stop":
                self._put(entry, **AT_REST["stop"])
            case "stopped":
                self._put(entry, state="cancelled", message="Stopped by hand.")
            case _:
                self._command(entry, COMMANDS[self.state.wish])

    def _start_what_fits(self) -> None:
        while self.state.wish == "run":
            if len(self.state.of("running")) >= self.state.workers:
                return
            waiting = self.state.of("waiting")
            if not waiting and len(self.state.entries) >= self.spec.total:
                return
            if not self._begin(waiting[0] if waiting else None):
                return

    def _begin(self, entry: Entry | None) -> bool:
        """Start one run; False where that has to wait."""
        try:
            if entry is None:
                entry = self._drawn()
            elif entry.trial is None:
                entry = self._claimed(entry)
            if entry is None:
                return True
            run = self._run_of(entry)
            if run is None:
                self._start(entry)
            else:
                self._go_on(entry, run)
            return True
        except StorageError as error:
            self._storage_failed(error)
            return False
        except UserError as error:
            self._hold_still(error)
            return False

    def _claimed(self, entry: Entry) -> Entry | None:
        """The entry once the study has it as ours; None when another machine has the point."""
        trial = self.ledger.claim(entry.params)
        self._storage_answered()
        if trial is None:
            self._put(entry, **THEIRS)
            return None
        return self._put(entry, trial=trial)

    def _drawn(self) -> Entry | None:
        """A new entry, as the sampler chose it; None when the study has drawn all its trials."""
        known = {entry.trial for entry in self.state.entries if entry.trial is not None}
        trial = self.ledger.draw(known)
        theirs = [] if trial else self.ledger.others(known)
        self._storage_answered()
        for each in theirs:
            self._enter(each, **THEIRS)
        return self._enter(trial) if trial else None

    def _tell_what_ended(self) -> None:
        """Let the study know of results; those that cannot be told now are told later."""
        try:
            for entry in self.state.entries:
                if entry.over and not entry.told and entry.trial is not None:
                    self.ledger.tell(entry.trial, entry.value)
                    self._put(entry, told=True)
                    self._storage_answered()
        except StorageError as error:
            self._storage_failed(error)

    def _name_the_state(self) -> None:
        running, waiting = self.state.of("running"), self.state.of("waiting")
        drawn = len(self.state.entries) >= self.spec.total
        untold = any(e.over and not e.told and e.trial is not None for e in self.state.entries)
        name: SweepStateName = "paused" if self.state.wish == "pause" else "running"
        if not running and self.state.wish in ENDS:
            name = ENDS[self.state.wish]
        elif not (running or waiting or untold) and drawn:
            name = "finished"
        self._change(state=name)

    # --- small things --------------------------------------------------------------------------

    def _start(self, entry: Entry) -> None:
        """Create the entry's run and start its worker; settings that do not fit fail it alone."""
        try:
            config = complete(self.spec.config(entry.params))
        except UserError as error:
            self._put(entry, state="failed", message=str(error))
            return
        name = self.store.free_name(self.spec.run_name(self.sweep.id, entry.params))
        entry = self._put(entry, run=name)
        self._save()  # so that a scheduler that comes later knows whose run it is
        jobs.start(self.store, name, config)
        self._put(entry, state="running", attempts=1)

    def _go_on(self, entry: Entry, run: Run) -> None:
        """Put a worker to a run that was begun before, unless it has one or needs none."""
        if run.status().state in ("interrupted", "stopped"):
            jobs.resume(run)
        self._put(entry, state="running")
        self._asked.pop(entry.number, None)

    def _try_to_go_on(self, entry: Entry, run: Run) -> None:
        """As `_go_on`; where nothing can be written, the sweep pauses and the entry waits."""
        try:
            self._go_on(entry, run)
        except UserError as error:
            self._put(entry, attempts=entry.attempts - 1)
            self._hold_still(error)

    def _finish(self, entry: Entry, run: Run) -> None:
        summary = run.summary()
        value = summary.get("elbo")
        value = -summary["recon"] if value is None else value
        self._put(entry, state="finished", value=value, message="")

    def _command(self, entry: Entry, command: str) -> None:
        """Tell a run's worker, once."""
        if self._asked.get(entry.number, "resume") != command:
            self._asked[entry.number] = command
            run = self._run_of(entry)
            if run is not None:
                jobs.send(run, {"command": command})

    def _run_of(self, entry: Entry) -> Run | None:
        """The entry's run, None where it has none yet or it was deleted."""
        try:
            run = self.store.get(entry.run) if entry.run else None
        except UserError:
            return None
        return run if run is not None and run.has(layout.CONFIG) else None

    def _hold_still(self, error: UserError) -> None:
        """Pause because of an error; the disk is full, say: nothing is lost by waiting."""
        self._change(wish="pause", message=f"Paused. {error} Mend that, then resume.")

    def _storage_failed(self, error: StorageError) -> None:
        message = f"{str(error).rstrip('.')}. Runs go on; their results are told later."
        self._change(message=message)

    def _storage_answered(self) -> None:
        if self.state.wish == "run":  # else the message says why it waits
            self._change(message="")

    def _enter(self, trial: FrozenTrial, **more: Any) -> Entry:
        number = len(self.state.entries)
        entry = Entry(number=number, trial=trial.number, params=dict(trial.params), **more)
        self._change(entries=(*self.state.entries, entry))
        return entry

    def _put(self, entry: Entry, **changes: Any) -> Entry:
        changed = entry.model_copy(update=changes)
        self.state = self.state.having(changed)
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
