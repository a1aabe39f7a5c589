"""Optuna's study of a sweep: which machine does which trial, what the sampler draws, what came out.

The study is Optuna's, so its samplers choose, its database shares, and its tools read it. Imports
Optuna, so it is imported where a study is opened.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from vae_core.sweeps.spec import BETA, Params, SamplerName, SweepSpec
from vae_core.sweeps.storage import StorageError, open_storage, storage_errors
from vae_core.sweeps.sweep import Sweep

SPEC = "sweep"
"""The study's attribute that keeps the specification, for machines that join."""

OWNER = "machine"
"""A trial's attribute that keeps whose it is: the folder of a sweep, wherever it lies."""

RETRY_S = 5.0
"""Pause before a storage that did not answer is tried again."""


class SharedStudy:
    """The study as one machine's scheduler meets it; every method may raise a StorageError.

    A grid's order is the queue's, which people may change, so the study learns of a point when a
    machine claims it, not before.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.spec, self.url, self.name = sweep.spec(), sweep.storage(), sweep.id
        # Sweeps of earlier versions have no identity; hosts may change their names, or share one.
        self.owner = sweep.identity() or f"{socket.gethostname()}:{sweep.path.resolve()}"
        self._study: Study | None = None
        self._retry_at, self._problem = 0.0, ""

    def claim(self, params: Params) -> int | None:
        """Take one point of a grid; asked again, the answer is the same.

        The trial is written in one transaction, and of several for one point the first counts, so
        that a point is done once, whoever asks at the same time and wherever somebody is killed.
        The number of its trial; None when another machine has the point.
        """
        with self._opened() as study:
            if not _claims(study, params):
                trial = create_trial(
                    state=TrialState.RUNNING,
                    params=params,
                    distributions=distributions(self.spec),
                    user_attrs={OWNER: self.owner},
                )
                study.add_trial(trial)
            first, *late = _claims(study, params)
            for twin in late:
                if self._owns(twin):
                    study.tell(twin.number, state=TrialState.PRUNED)
            return first.number if self._owns(first) else None

    def ask(self, known: set[int]) -> FrozenTrial | None:
        """Let the sampler choose a point; None once the study has drawn all its trials. `known`
        are those that this machine has; one that it drew just before it was killed is missing
        there, and is what it gets."""
        with self._opened() as study:
            for trial in study.get_trials(deepcopy=False):
                if self._owns(trial) and trial.number not in known:
                    return trial
            drawn = study.ask(distributions(self.spec))
            if drawn.number >= self.spec.total:
                study.tell(drawn, state=TrialState.PRUNED)
                return None
            drawn.set_user_attr(OWNER, self.owner)
            return study.get_trials(deepcopy=False)[drawn.number]

    def other_trials(self, known: set[int]) -> list[FrozenTrial]:
        """The trials of the sweep that are not `known` here: other machines have drawn them."""
        with self._opened() as study:
            counted = study.get_trials(deepcopy=False)[: self.spec.total]
            return [trial for trial in counted if trial.number not in known]

    def tell(self, trial: int, value: float | None) -> None:
        """How a trial ended; None says that it failed. Telling twice changes nothing."""
        state = TrialState.FAIL if value is None else None  # Optuna looks at the value
        with self._opened() as study:
            study.tell(trial, value, state=state, skip_if_finished=True)

    def _owns(self, trial: FrozenTrial) -> bool:
        return trial.user_attrs.get(OWNER) == self.owner and not trial.state.is_finished()

    @contextmanager
    def _opened(self) -> Iterator[Study]:
        """The study, opened when it is first needed; a silent storage is left alone for a while."""
        if time.monotonic() < self._retry_at:
            raise StorageError(self._problem)
        try:
            if self._study is None:
                seed = self.spec.base.train.seed
                self._study = open_study(self.url, self.name, self.spec.sampler, seed)
            with storage_errors(self.url):
                yield self._study
        except StorageError as error:
            self._retry_at, self._problem = time.monotonic() + RETRY_S, str(error)
            raise


def open_study(url: str, name: str, sampler: SamplerName = "grid", seed: int = 0) -> Study:
    """The study called `name`; made where there is none. A StorageError when the storage cannot be
    reached."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with storage_errors(url):
        return optuna.create_study(
            storage=open_storage(url),
            study_name=name,
            sampler=PerTrialSampler(SAMPLERS[sampler], seed),
            direction="maximize",
            load_if_exists=True,
        )


def read_spec(study: Study, url: str) -> SweepSpec | None:
    """What the study is for, as the machine that began it wrote down; None in a new study."""
    with storage_errors(url):
        text = study.user_attrs.get(SPEC)
    return None if text is None else SweepSpec.model_validate_json(text)


def write_spec(study: Study, spec: SweepSpec, url: str) -> None:
    """Write down what the study is for; not where it is kept, which may hold a password."""
    with storage_errors(url):
        text = spec.model_copy(update={"storage": None}).model_dump_json()
        study.set_user_attr(SPEC, text)


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


def _claims(study: Study, params: Params) -> list[FrozenTrial]:
    """The trials of one point, the first one first, whoever does them."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.params == params]


# --- samplers ------------------------------------------------------------------------------------


SAMPLERS: dict[SamplerName, Callable[..., BaseSampler]] = {
    "grid": RandomSampler,  # never asked: the queue chooses
    "random": RandomSampler,
    # The runs of other workers count as if they had gone badly, so that nobody repeats them.
    "tpe": partial(TPESampler, constant_liar=True),
}


class PerTrialSampler(BaseSampler):
    """Draws trial n with a sampler seeded by (seed, n).

    A generator seeded by the sweep alone begins anew in every process: two machines drew the same
    points, and a scheduler that was started again drew its first ones once more. This way they
    draw together what one process would have drawn.
    """

    def __init__(self, make: Callable[..., BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take the random numbers of this trial; the other methods are the sampler's own."""
        (seed,) = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = self._make(seed=int(seed))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, *args: Any, **named: Any) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(*args, **named)

    def sample_relative(self, *args: Any, **named: Any) -> dict[str, Any]:
        return self._sampler.sample_relative(*args, **named)

    def sample_independent(self, *args: Any, **named: Any) -> Any:
        return self._sampler.sample_independent(*args, **named)
