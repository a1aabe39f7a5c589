"""Optuna's study of a sweep: its queue of points, what is drawn, pruned and came out.

Every point of a sweep is a trial that waits, from the beginning: a grid's with its values, the
others for a sampler. Whoever changes a trial from waiting to running has it, which of all machines
one achieves. That machine lets the study hear its heartbeat; when it falls silent its trial fails,
and another one waits for the same point. (Optuna's GridSampler gives a point to whoever asks, so
that two machines may get the same, and one point more is drawn for each that died.) Imports
Optuna, so it is imported where a study is opened.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from vae_core.runs import layout
from vae_core.runs.process import silence_s
from vae_core.sweeps.spec import BETA, Params, PrunerName, SamplerName, SweepSpec
from vae_core.sweeps.storage import StorageError, open_storage, retry, storage_errors
from vae_core.sweeps.sweep import Sweep

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPEC = "sweep"
"""The study's attribute that keeps the specification, for machines that join."""

QUEUED = "queued"
"""The study's attribute that says that all points are there."""

POINT = "point"
"""A trial's attribute: which point of the sweep it is. One that takes the place of another has the
same."""

REASON = "reason"
"""The attribute of a trial that failed by itself: why. One whose machine died has none."""

RETRY_S = 5.0
"""Pause before a storage that did not answer is tried again."""


class SharedStudy:
    """The study as one machine's scheduler meets it; every method may raise a StorageError."""

    def __init__(self, sweep: Sweep) -> None:
        self.spec, self.url, self.name = sweep.spec(), sweep.storage(), sweep.id
        self._study: Study | None = None
        self._storage: Any = None  # a BaseStorage with the heartbeats of BaseHeartbeat
        self._retry_at, self._problem = 0.0, ""
        self._patient_until = 0.0
        """Whoever has just come, or come back, lets all others be heard before he buries them."""

    # --- the queue -----------------------------------------------------------------------------

    def fill(self) -> None:
        """Queue the points that the study does not have yet."""
        with self._opened() as study:
            if not study.user_attrs.get(QUEUED):
                fill(study, self.spec)

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

    def tell(self, trial: int, value: float | None, pruned: bool = False, reason: str = "") -> bool:
        """How a trial ended; no value says that it failed. False where this machine had fallen
        silent, and the study did not wait; telling twice changes nothing else."""
        failed = value is None and not pruned
        state = TrialState.PRUNED if pruned else TrialState.FAIL if failed else TrialState.COMPLETE
        with self._opened() as study:
            if failed:
                with suppress(UpdateFinishedTrialError):
                    self._storage.set_trial_user_attr(self._id(trial), REASON, reason)
            values = value if state == TrialState.COMPLETE else None
            return study.tell(trial, values, state=state, skip_if_finished=True).state == state

    def tell_of(self, point: int, value: float) -> bool:
        """What came out of a point that was given to others meanwhile, who need not go on; False
        where they are done with it."""
        with self._opened() as study:
            trial = standing(study, self.spec)[point]
            if trial.state.is_finished() or (
                trial.state == TrialState.WAITING and self._taken(study, trial) is None
            ):
                return False
            told = study.tell(trial.number, value, skip_if_finished=True)
            return told.value == value

    # --- life and death ------------------------------------------------------------------------

    def beat(self, held: Iterable[int]) -> dict[int, FrozenTrial]:
        """Let the study hear that these trials are at work here, and queue the points of machines
        that it has not heard for long; as `standing`."""
        with self._opened() as study:
            for number in held:
                with suppress(UpdateFinishedTrialError):
                    self._storage.record_heartbeat(self._id(number))
            if time.monotonic() > self._patient_until:
                with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                    fail_stale_trials(study)
                self._retry_orphans(study)
            return standing(study, self.spec)

    def take_over(self, held: Collection[int]) -> None:
        """Queue the points anew that are at work nowhere, as nobody else has this study: those of
        a scheduler that died before it could write down what it had taken."""
        with self._opened() as study:
            for trial in standing(study, self.spec).values():
                if trial.state == TrialState.RUNNING and trial.number not in held:
                    self._storage.set_trial_state_values(self._id(trial.number), TrialState.FAIL)
                    retry()(study, study.get_trials()[trial.number])
            self._retry_orphans(study)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        """How good a trial is after an epoch; True where the pruner finds it hopeless."""
        with self._opened() as study, suppress(UpdateFinishedTrialError):
            self._storage.set_trial_intermediate_value(self._id(trial), epoch, value)
            return study.pruner.prune(study, study.get_trials(deepcopy=False)[trial])
        return False

    # --- inside --------------------------------------------------------------------------------

    def _taken(self, study: Study, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial, where this machine is the one that made it run."""
        if trial.state != TrialState.WAITING:
            return None
        number = self._id(trial.number)
        self._storage.record_heartbeat(number)  # first, so that whoever dies next is missed
        with suppress(UpdateFinishedTrialError):
            if self._storage.set_trial_state_values(number, TrialState.RUNNING):
                if len(trial.params) < len(self.spec.vary):
                    _sample(Trial(study, number), distributions(self.spec))
                return study.get_trials(deepcopy=False)[trial.number]
        return None

    def _retry_orphans(self, study: Study) -> None:
        """Queue what somebody has failed who died before he had queued it anew."""
        for trial in standing(study, self.spec).values():
            attributes = trial.user_attrs
            if trial.state == TrialState.FAIL and POINT in attributes and REASON not in attributes:
                retry()(study, deepcopy(trial))

    def _loaded(self) -> Study:
        """The study, which is there: another one, of the same name and empty, would have all of it
        done once more."""
        try:
            return optuna.load_study(
                study_name=self.name,
                storage=self._storage,
                sampler=sampler(self.spec),
                pruner=pruner(self.spec),
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
                    self._patient_until = time.monotonic() + silence_s()
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


def write_spec(study: Study, spec: SweepSpec, url: str) -> None:
    """Write down what the study is for, not where it is kept, which may hold a password; and queue
    its points where machines share it, which may come at any time."""
    with storage_errors(url):
        if spec.storage is not None:
            fill(study, spec)
        text = spec.model_copy(update={"storage": None}).model_dump_json()
        study.set_user_attr(SPEC, text)


def fill(study: Study, spec: SweepSpec) -> None:
    """Queue the points that the study does not have yet, and say so in it. Of those that two
    machines queue at a time, the first counts."""
    there, points, drawn = standing(study, spec), spec.points(), distributions(spec)
    for point in range(spec.total):
        if point not in there:
            params = points[point] if points else {}
            waiting = create_trial(
                state=TrialState.WAITING,
                params=params,
                distributions={key: drawn[key] for key in params},
                user_attrs={POINT: point},
            )
            study.add_trial(waiting)
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


def distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """What may be drawn of each setting."""
    drawn: dict[str, BaseDistribution] = {}
    for key, values in spec.vary.items():
        if key == BETA and spec.sampler != "grid" and len(values) > 1:
            betas = [float(value) for value in values]
            drawn[key] = FloatDistribution(min(betas), max(betas), log=True)
        else:
            drawn[key] = CategoricalDistribution(values)
    return drawn


def _sample(trial: Trial, drawn: dict[str, BaseDistribution]) -> None:
    """Let the study's sampler draw what the trial has no value of."""
    for key, each in drawn.items():
        match each:
            case FloatDistribution():
                trial.suggest_float(key, each.low, each.high, log=each.log)
            case CategoricalDistribution():
                trial.suggest_categorical(key, each.choices)


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


# --- samplers and pruners -------------------------------------------------------------------------


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


def sampler(spec: SweepSpec) -> BaseSampler:
    """What draws the points of a sweep."""
    return PerTrialSampler(SAMPLERS[spec.sampler], spec.base.train.seed)


def pruner(spec: SweepSpec) -> BasePruner:
    """What finds runs of a sweep hopeless, by their values after each epoch."""
    return PRUNERS[spec.pruner](spec)


class PerTrialSampler(BaseSampler):
    """Draws point n with a sampler seeded by (seed, n).

    A generator seeded by the sweep alone begins anew in every process: two machines drew the same
    points, and a scheduler that was started again drew its first ones once more. This way they
    draw together what one process would have drawn.
    """

    def __init__(self, make: Callable[..., BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take the random numbers of this trial; the other methods are the sampler's own."""
        point = trial.user_attrs.get(POINT, trial.number)
        (seed,) = np.random.SeedSequence([self._seed, point]).generate_state(1)
        self._sampler = self._make(seed=int(seed))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, *args: Any, **named: Any) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(*args, **named)

    def sample_relative(self, *args: Any, **named: Any) -> dict[str, Any]:
        return self._sampler.sample_relative(*args, **named)

    def sample_independent(self, *args: Any, **named: Any) -> Any:
        return self._sampler.sample_independent(*args, **named)
