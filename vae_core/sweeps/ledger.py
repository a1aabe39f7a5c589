"""Who does which trial of a study: taken by one machine, drawn by the sampler, told how it ended.

A grid's order is the queue's, which people may change, so the study learns of a point when a
machine takes it, not before.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vae_core.sweeps.spec import BETA, Params, SweepSpec
from vae_core.sweeps.study import StorageError, open_study, reaching
from vae_core.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

OWNER = "machine"
"""Under this name a trial keeps whose it is: the folder of a sweep, wherever it lies."""

AGAIN_S = 5.0
"""Pause before a storage that did not answer is tried again."""


class Ledger:
    """The study as one machine's scheduler meets it; every method may raise a StorageError."""

    def __init__(self, sweep: Sweep) -> None:
        self.spec, self.url, self.name = sweep.spec(), sweep.storage(), sweep.id
        # Sweeps of earlier versions have no identity; hosts may change their names, or share one.
        self.owner = sweep.identity() or f"{socket.gethostname()}:{sweep.path.resolve()}"
        self._study: Study | None = None
        self._silent_until, self._problem = 0.0, ""

    def claim(self, params: Params) -> int | None:
        """Take one point of a grid; asked again, the answer is the same.

        The trial is written in one transaction, and of several for one point the first counts, so
        that a point is done once, whoever asks at the same time and wherever somebody is killed.

        Returns:
            The number of its trial; None when another machine has the point.
        """
        from optuna.trial import TrialState, create_trial

        with self._reached() as study:
            if not _claims(study, params):
                study.add_trial(
                    create_trial(
                        state=TrialState.RUNNING,
                        params=params,
                        distributions=distributions(self.spec),
                        user_attrs={OWNER: self.owner},
                    )
                )
            first, *late = _claims(study, params)
            for twin in late:
                if self._has(twin):
                    study.tell(twin.number, state=TrialState.PRUNED)
            return first.number if self._has(first) else None

    def draw(self, known: set[int]) -> FrozenTrial | None:
        """Let the sampler choose a point; None once the study has drawn all its trials.

        Args:
            known: the trials that this machine has; one that it drew just before it was killed is
                missing there, and is what it gets.
        """
        from optuna.trial import TrialState

        with self._reached() as study:
            for trial in study.get_trials(deepcopy=False):
                if self._has(trial) and trial.number not in known:
                    return trial
            drawn = study.ask(distributions(self.spec))
            if drawn.number >= self.spec.total:
                study.tell(drawn, state=TrialState.PRUNED)
                return None
            drawn.set_user_attr(OWNER, self.owner)
            return study.get_trials(deepcopy=False)[drawn.number]

    def others(self, known: set[int]) -> list[FrozenTrial]:
        """The trials of the sweep that are not `known` here: other machines have drawn them."""
        with self._reached() as study:
            counted = study.get_trials(deepcopy=False)[: self.spec.total]
            return [trial for trial in counted if trial.number not in known]

    def tell(self, trial: int, value: float | None) -> None:
        """How a trial ended; None says that it failed. Telling twice changes nothing."""
        from optuna.trial import TrialState

        state = TrialState.FAIL if value is None else None  # Optuna looks at the value
        with self._reached() as study:
            study.tell(trial, value, state=state, skip_if_finished=True)

    def _has(self, trial: FrozenTrial) -> bool:
        return trial.user_attrs.get(OWNER) == self.owner and not trial.state.is_finished()

    @contextmanager
    def _reached(self) -> Iterator[Study]:
        """The study, opened when it is first needed; a silent storage is left alone for a while."""
        if time.monotonic() < self._silent_until:
            raise StorageError(self._problem)
        try:
            if self._study is None:
                seed = self.spec.base.train.seed
                self._study = open_study(self.url, self.name, self.spec.sampler, seed)
            with reaching(self.url):
                yield self._study
        except StorageError as error:
            self._silent_until, self._problem = time.monotonic() + AGAIN_S, str(error)
            raise


def distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """What may be drawn of each setting."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

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
