"""What draws the points of a study, each from random numbers that belong to its trial alone.

Imports Optuna, so it is imported where a study is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from vae_core.sweeps.spec import SamplerName


class Numbered(BaseSampler):
    """Draws trial n with a sampler seeded by (seed, n).

    A generator seeded by the sweep alone begins anew in every process: two machines drew the same
    points, and a scheduler that was started again drew its first ones once more. This way they
    draw together what one process would have drawn.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take the random numbers of this trial."""
        (seed,) = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = self._make(int(seed))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler has it."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler has it."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler has it."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def sampler(name: SamplerName, seed: int) -> BaseSampler:
    """The sampler called `name` of a sweep with this seed."""
    return Numbered(SAMPLERS[name], seed)


def _tpe(seed: int) -> BaseSampler:
    # The runs of other workers count as if they had gone badly, so that nobody repeats them.
    return TPESampler(seed=seed, constant_liar=True)


SAMPLERS: dict[SamplerName, Callable[[int], BaseSampler]] = {
    "grid": RandomSampler,  # never asked: the queue chooses
    "random": RandomSampler,
    "tpe": _tpe,
}
