"""Optuna's study of a sweep: its queue of points, what is drawn, pruned and came out.

Every point of a sweep is a trial that was enqueued at the beginning, a grid's with its values.
Whoever changes a trial from waiting to running has it, which of all machines one achieves. That
machine lets the study hear its heartbeat; when it falls silent its trial fails, and Optuna's retry
enqueues the same point once more. (Its GridSampler would hand out the grid in an order of its own,
and leaves enqueued trials alone.) Imports Optuna, so it is imported where a study is opened.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial

import numpy as np
import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, Trial, TrialState

from vae_core.progress import REPORT_S, Progress, no_progress
from vae_core.runs import layout
from vae_core.runs.process import Watch, silence_s
from vae_core.sweeps.spec import BETA, Params, PrunerName, SamplerName, SweepSpec
from vae_core.sweeps.storage import StorageError, open_storage, storage_errors
from vae_core.sweeps.sweep import Sweep
from vae_core.units import grouped

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPEC = "sweep"
"""The study's attribute that keeps the specification, for machines that join."""

QUEUED = "queued"
"""The study's attribute that says that all points are there."""

POINT = "point"
"""A trial's attribute: which point of the sweep it is. One that takes the place of another has the
same."""

BEAT = "beat"
"""A trial's attribute: how often the machine that has it was heard."""

REASON = "reason"
"""The attribute of a trial that failed by itself: why. One whose machine died has none."""

RETRY_S = 5.0
"""Pause before a storage that did not answer is tried again."""

MOST_RETRIES = 8
"""A point whose machines died so often is given up: it may be what kills them."""

SAMPLERS: dict[SamplerName, Callable[..., BaseSampler]] = {
    "grid": RandomSampler,  # never asked: its points have their values
    "random": RandomSampler,
    # The runs of other workers count as if they had gone badly, so that nobody repeats them.
    "tpe": partial(TPESampler, constant_liar=True),
}

PRUNERS: dict[PrunerName, Callable[[SweepSpec], BasePruner]] = {
    "none": lambda spec: NopPruner(),
    "median": lambda spec: MedianPruner(),
    "hyperband": lambda spec: HyperbandPruner(max_resource=spec.epochs),
}


class SharedStudy:
    """The study as one machine's scheduler meets it; every method may raise a StorageError."""

    def __init__(self, sweep: Sweep) -> None:
        self.spec, self.url, self.name = sweep.spec(), sweep.storage(), sweep.id
        self._is_alone = self.spec.storage is None
        self._study: Study | None = None
        self._storage: BaseStorage
        self._retry_at, self._problem = 0.0, ""

    # --- the queue -----------------------------------------------------------------------------

    def fill(self, progress: Progress = no_progress) -> None:
        """Queue the points that the study does not have yet."""
        with self._opened() as study:
            if not study.user_attrs.get(QUEUED):
                fill(study, self.spec, progress)

    def standing(self) -> dict[int, FrozenTrial]:
        """The trial that counts of each point."""
        with self._opened() as study:
            return standing(study, self.spec)

    def take(self, point: int, held: int | None = None) -> FrozenTrial | None:
        """Have a point done here; None where another machine has it, or it is done. `held` is the
        trial that this machine has of it already, if any, which it may have lost meanwhile."""
        with self._opened() as study:
            trial = standing(study, self.spec)[point]
            if trial.state == TrialState.RUNNING and trial.number == held:
                return trial
            return self._taken(study, trial)

    def draw(self, known: Collection[int]) -> tuple[int, FrozenTrial] | None:
        """The first waiting point that is not `known`, and its trial as the sampler draws it; None
        where there is none."""
        with self._opened() as study:
            for point, trial in standing(study, self.spec).items():
                if point not in known and (taken := self._taken(study, trial)):
                    return point, taken
            return None

    def tell(
        self, point: int, held: int, value: float | None, pruned: bool = False, reason: str = ""
    ) -> bool:
        """What came out of a point by the trial that this machine has of it; no value says that it
        failed. Telling twice changes nothing. Where this machine had fallen silent and others have
        the point, a value counts all the same, so that they need not go on; False where they are
        done with it, or there is none."""
        failed = value is None and not pruned
        state = TrialState.PRUNED if pruned else TrialState.FAIL if failed else TrialState.COMPLETE
        with self._opened() as study:
            if failed:
                with suppress(UpdateFinishedTrialError):
                    self._storage.set_trial_user_attr(self._id(held), REASON, reason)
            if study.tell(held, value, state=state, skip_if_finished=True).state == state:
                return True
            trial = standing(study, self.spec)[point]
            if value is None or trial.state.is_finished():
                return False
            self._taken(study, trial)  # nobody has begun with it, perhaps
            return study.tell(trial.number, value, skip_if_finished=True).value == value

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """How good a trial is after an epoch; True where the pruner finds it hopeless."""
        with self._opened() as study, suppress(UpdateFinishedTrialError):
            self._storage.set_trial_intermediate_value(self._id(trial), epoch, value)
            return study.pruner.prune(study, study.get_trials(deepcopy=False)[trial])
        return False

    # --- life and death ------------------------------------------------------------------------

    def beat(self, held: Collection[int]) -> dict[int, FrozenTrial]:
        """Let the study hear that these trials are at work here, and queue the points anew whose
        machines have died: those that it has not heard for long; at once where nobody else has
        this study, as of a scheduler that died before it could write down what it had taken. The
        trial that then counts of each point."""
        with self._opened() as study:
            at_work = [
                trial
                for trial in standing(study, self.spec).values()
                if trial.state == TrialState.RUNNING
            ]
            lost = {each.number for each in at_work if self._has_died(each, each.number in held)}
            for trial in standing(study, self.spec).values():
                told = REASON in trial.user_attrs or POINT not in trial.user_attrs
                if trial.state == TrialState.FAIL and (trial.number in lost or not told):
                    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                        retry = RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES)
                    retry(study, deepcopy(trial))
            return standing(study, self.spec)

    def _has_died(self, trial: FrozenTrial, is_held: bool) -> bool:
        """Let a running trial be heard, or listen for it; whether it was silent, and has failed.

        Optuna's own heartbeats are those of its databases, by the database's clock; its journal
        has none. These are counters, which anybody may watch by a clock of his own.
        """
        count = trial.user_attrs.get(BEAT, 0)
        silent_s = 0.0 if is_held else self._watch.unchanged_s(trial.number, lambda: count)
        with suppress(UpdateFinishedTrialError):
            if is_held and not self._is_alone:
                self._storage.set_trial_user_attr(self._id(trial.number), BEAT, count + 1)
            if not is_held and (self._is_alone or silent_s > silence_s()):
                self._storage.set_trial_state_values(self._id(trial.number), TrialState.FAIL)
                return True
        return False

    # --- inside --------------------------------------------------------------------------------

    def _taken(self, study: Study, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial, where this machine is the one that made it run."""
        if trial.state != TrialState.WAITING:
            return None
        number = self._id(trial.number)
        with suppress(UpdateFinishedTrialError):
            if self._storage.set_trial_state_values(number, TrialState.RUNNING):
                if len(trial.params) < len(self.spec.vary):
                    study.sampler = sampler(self.spec, trial)
                    _draw(Trial(study, number), self.spec)
                return study.get_trials(deepcopy=False)[trial.number]
        return None

    def _loaded(self) -> Study:
        """The study, which is there: another one, of the same name and empty, would have all of it
        done once more."""
        try:
            return optuna.load_study(
                study_name=self.name,
                storage=self._storage,
                pruner=PRUNERS[self.spec.pruner](self.spec),
            )
        except KeyError:
            raise OSError(f"there is no study called {self.name!r}") from None

    def _id(self, number: int) -> int:
        study = self._storage.get_study_id_from_name(self.name)
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)

    @contextmanager
    def _opened(self) -> Iterator[Study]:
        """The study, opened when it is first needed; a silent storage is left alone for a while."""
        if time.monotonic() < self._retry_at:
            raise StorageError(self._problem)
        try:
            with storage_errors(self.url):
                if self._study is None:
                    self._storage = open_storage(self.url)
                    self._study = self._loaded()
                    # Whoever has just come, or come back, lets all others be heard.
                    self._watch = Watch(silence_s() / 2)
                yield self._study
        except StorageError as error:
            self._study = None  # a journal's last line may be unfinished
            self._retry_at, self._problem = time.monotonic() + RETRY_S, str(error)
            raise


def open_study(url: str, name: str) -> Study:
    """The study called `name`; made where there is none. A StorageError when the storage cannot be
    reached."""
    with storage_errors(url):
        return optuna.create_study(
            storage=open_storage(url), study_name=name, direction="maximize", load_if_exists=True
        )


def read_spec(study: Study, url: str) -> SweepSpec | None:
    """What the study is for, as the machine that began it wrote down; None in a new study."""
    with storage_errors(url):
        text = study.user_attrs.get(SPEC)
    return None if text is None else SweepSpec.model_validate_json(text)


def write_spec(study: Study, spec: SweepSpec, url: str, progress: Progress = no_progress) -> None:
    """Write down what the study is for, not where it is kept, which may hold a password; and queue
    its points where machines share it, which may come at any time."""
    with storage_errors(url):
        if spec.storage is not None:
            fill(study, spec, progress)
        text = spec.model_copy(update={"storage": None}).model_dump_json()
        study.set_user_attr(SPEC, text)


def fill(study: Study, spec: SweepSpec, progress: Progress = no_progress) -> None:
    """Queue the points that the study does not have yet, and say so in it. Of those that two
    machines queue at a time, the first counts."""
    there, points, told = standing(study, spec), spec.points(), time.monotonic()
    for point in range(spec.total):
        if time.monotonic() - told > REPORT_S:
            told, total = time.monotonic(), spec.total
            progress(f"Queuing the runs: {grouped(point)} of {grouped(total)}.", point / total)
        if point not in there:
            study.enqueue_trial(points[point] if points else {}, {POINT: point})
    study.set_user_attr(QUEUED, True)


def standing(study: Study, spec: SweepSpec) -> dict[int, FrozenTrial]:
    """The trial that counts of each point of the sweep: the first that no other has replaced."""
    trials, points = study.get_trials(deepcopy=False), spec.points()
    replaced = {number for each in trials for number in each.system_attrs.get("retry_history", ())}
    found: dict[int, FrozenTrial] = {}
    for trial in trials:
        point = _point(trial, points)
        if trial.number not in replaced and point < spec.total:
            found.setdefault(point, trial)
    return dict(sorted(found.items()))


def _point(trial: FrozenTrial, points: list[Params]) -> int:
    """Which point of the sweep a trial is; those of earlier versions do not say so."""
    if POINT in trial.user_attrs:
        return int(trial.user_attrs[POINT])
    if points:
        return points.index(trial.params)
    return int(trial.system_attrs.get("failed_trial", trial.number))


def sampler(spec: SweepSpec, trial: FrozenTrial) -> BaseSampler:
    """What draws one trial, seeded by the sweep's seed and the point.

    A generator seeded by the sweep alone begins anew in every process: two machines drew the same
    points, and a scheduler that was started again drew its first ones once more. This way they
    draw together what one process would have drawn.
    """
    point = trial.user_attrs.get(POINT, trial.number)
    (seed,) = np.random.SeedSequence([spec.base.train.seed, point]).generate_state(1)
    return SAMPLERS[spec.sampler](seed=int(seed))


def _draw(trial: Trial, spec: SweepSpec) -> None:
    """Let the study's sampler draw what the trial has no value of."""
    for key, values in spec.vary.items():
        if key == BETA and spec.sampler != "grid" and len(values) > 1:
            betas = [float(value) for value in values]
            trial.suggest_float(key, min(betas), max(betas), log=True)
        else:
            trial.suggest_categorical(key, values)


def to_journal(sweep: Sweep) -> None:
    """Bring the study of a sweep of an earlier version, a database in its folder, into a journal.
    A StorageError when it cannot be read."""
    if sweep.spec().storage or sweep.has(layout.STUDY) or not sweep.has(layout.EARLIER_STUDY):
        return
    url, new = f"sqlite:///{sweep.file(layout.EARLIER_STUDY)}", layout.STUDY + ".new"
    sweep.file(new).unlink(missing_ok=True)  # of somebody who died over it
    with storage_errors(url):
        optuna.copy_study(
            from_study_name=sweep.id,
            from_storage=open_storage(url),
            to_storage=open_storage(f"journal:///{sweep.file(new).absolute()}"),
        )
    sweep.rename(new, layout.STUDY)
