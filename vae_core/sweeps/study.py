"""Optuna's study, the ledger of a sweep: which settings were claimed, by whom, with what result.

The study is Optuna's, so its samplers choose, its database shares, and its tools read it. A grid's
order is the queue's: each point is enqueued in the study just before it is taken, because a study
cannot re-order what already waits in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vae_core.errors import UserError
from vae_core.sweeps.spec import BETA, Params, SamplerName, SweepSpec

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

SPEC = "sweep"
"""Under this name the study keeps the specification, for machines that join."""

PATIENCE_S = 30
"""How long SQLite waits for another writer."""


class StorageError(UserError):
    """The study's database cannot be reached; what was not told can be told later."""


@contextmanager
def reaching(where: str) -> Iterator[None]:
    """Turn what databases raise into one sentence.

    Raises:
        StorageError: naming the storage, without its password.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            f"{shown(where)} is no database URL; write one such as "
            "postgresql://user@host/database or sqlite:////folder/study.db."
        ) from error
    except ModuleNotFoundError as error:
        raise StorageError(
            f"Python has no driver for {shown(where)}: install {error.name}, then try again."
        ) from error
    except (SQLAlchemyError, StorageInternalError, ImportError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StorageError(f"The study in {shown(where)} cannot be reached: {reason}.") from error


def shown(url: str) -> str:
    """A database URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)


def open_study(url: str, name: str, sampler: SamplerName = "grid", seed: int = 0) -> Study:
    """The study called `name`; made where there is none.

    Raises:
        StorageError: when the storage cannot be reached.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching(url):
        return optuna.create_study(
            storage=_storage(url),
            study_name=name,
            sampler=SAMPLERS[sampler](seed),
            direction="maximize",
            load_if_exists=True,
        )


def _storage(url: str) -> Any:
    from optuna.storages import RDBStorage

    local = url.startswith("sqlite:")
    options = {"connect_args": {"timeout": PATIENCE_S}} if local else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=options)


def shared_spec(study: Study, url: str) -> SweepSpec | None:
    """What the study is for, as the machine that began it wrote down; None in a new study."""
    with reaching(url):
        text = study.user_attrs.get(SPEC)
    return None if text is None else SweepSpec.model_validate_json(text)


def share_spec(study: Study, spec: SweepSpec, url: str) -> None:
    """Write down what the study is for; not where it is kept, which may hold a password."""
    with reaching(url):
        text = spec.model_copy(update={"storage": None}).model_dump_json()
        study.set_user_attr(SPEC, text)


def claim(study: Study, spec: SweepSpec, params: Params | None) -> Trial | None:
    """A trial of the study for this process: of the given point, or of one that is chosen now.

    Returns:
        None when another machine was faster.
    """
    if params is not None:
        if params in taken(study):
            return None
        study.enqueue_trial(params)
    trial = study.ask(distributions(spec))
    if spec.sampler == "grid":
        twins = [t for t in study.get_trials(deepcopy=False) if t.params == trial.params]
        if any(twin.number < trial.number for twin in twins):
            from optuna.trial import TrialState

            study.tell(trial, state=TrialState.PRUNED)
            return None
    return trial


def taken(study: Study) -> list[Params]:
    """The points of all trials, whoever does them."""
    return [trial.params for trial in study.get_trials(deepcopy=False)]


def tell(study: Study, trial: int, value: float | None) -> None:
    """How a trial ended; None says that it failed. Telling twice changes nothing."""
    from optuna.trial import TrialState

    if value is None:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    else:
        study.tell(trial, value, skip_if_finished=True)


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


def _random(seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed)


def _tpe(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    # The runs of other workers count as if they had gone badly, so that nobody repeats them.
    return TPESampler(seed=seed, constant_liar=True)


SAMPLERS: dict[SamplerName, Callable[[int], BaseSampler]] = {
    "grid": _random,  # never asked: every point is enqueued
    "random": _random,
    "tpe": _tpe,
}
