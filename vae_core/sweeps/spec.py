"""What a sweep tries: settings and their values, and the configuration and name of each run."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field, field_validator

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.nested import merged, parse_settings, require_shallow
from vae_core.settings import Settings
from vae_core.training.executors import HERE, Share, check_place

BETA, SEED, SIGMA = "objective.beta", "train.seed", "model.sigma"
EPOCHS = "train.epochs"
MOST_RUNS = 1000

OTHER_NATS = frozenset(
    {
        "model.likelihood",
        SIGMA,
        "model.mixture",
        "data.dataset",
        "data.data_dir",
        "data.image_size",
        "data.channels",
        "data.resize",
        "data.mask_padding",
        "data.window",
        "data.windowed",
        "data.binarise",
    }
)
"""Settings that change what a nat of reconstruction means."""

Value = bool | int | float | str
Params = dict[str, Any]
"""Values by dotted setting, such as {"objective.beta": 0.3}."""

SamplerName = Literal["grid", "random", "tpe"]
PrunerName = Literal["none", "median", "hyperband"]


class SweepSpec(Settings):
    """A sweep as it was asked for.

    base: what all runs share; the seed too, so that they begin with the same weights.
    vary: the values of each varied setting. The grid tries every combination; random and TPE draw
        β between the smallest and the largest, and choose among the values of other settings.
    trials: how many runs random and TPE draw.
    pruner: what stops runs early whose ELBO is hopeless beside that of the others.
    storage: URL of a journal or a database that machines share; None keeps the study in the
        sweep's folder.
    place: where its runs are trained, by the name of one of `training/executors/`: a folder that
        somebody sent shall make nobody connect to an address; share: what each of them takes of a
        machine there.
    """

    base: RunConfig
    vary: Annotated[
        dict[str, Annotated[tuple[Value, ...], FailFast(), Field(max_length=10 * MOST_RUNS)]],
        Field(max_length=32),
    ]
    sampler: SamplerName = "grid"
    trials: int = 0
    pruner: PrunerName = "none"
    workers: int = 2
    storage: str | None = None
    place: Annotated[str, Field(pattern=r"^[a-z-]+$")] = HERE
    share: Share = Share()

    @field_validator("base")
    @classmethod
    def _base_is_json(cls, base: RunConfig) -> RunConfig:
        require_shallow(base.objective)
        require_shallow(base.model.options)
        return base

    @property
    def total(self) -> int:
        """How many runs the sweep has."""
        if self.sampler != "grid":
            return self.trials
        return math.prod(len(values) for values in self.vary.values())

    @property
    def epochs(self) -> int:
        """How many epochs the longest run has."""
        return max(map(int, self.vary.get(EPOCHS, (self.base.train.epochs,))))

    def points(self) -> list[Params]:
        """What is known beforehand of the runs: every combination of a grid, in order."""
        if self.sampler != "grid":
            return []
        return [
            dict(zip(self.vary, values, strict=True))
            for values in itertools.product(*self.vary.values())
        ]

    def config(self, params: Mapping[str, Any], threads: int | None = None) -> RunConfig:
        """The configuration of one run, with so many threads, or with those of `base`. A UserError
        when a value does not fit its setting, or there is no such setting."""
        changes: dict[str, Any] = {}
        for key, value in params.items():
            changes = merged(changes, parse_settings([f"{key}={json.dumps(value)}"]))
        if threads is not None:
            changes = merged({"train": {"threads": threads}}, changes)
        return self.base.updated(changes)

    def run_name(self, sweep: str, params: Mapping[str, Any]) -> str:
        """`<sweep>-beta0.3-latent_dim8`: the settings that differ between the runs.

        Long ones are cut by `Store.free_name`, to which it is a wish.
        """
        parts = [
            f"{key.rpartition('.')[2]}{self._short(key, value)}"
            for key, value in params.items()
            if len(self.vary[key]) > 1 or key == BETA
        ]
        return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([sweep, *parts]))

    def _short(self, key: str, value: Any) -> str:
        """Four digits of a number, all of them where others have the same four."""
        short = f"{value:.4g}" if isinstance(value, float) else str(value)
        same = [v for v in self.vary[key] if isinstance(v, float) and f"{v:.4g}" == short]
        return short if len(same) < 2 else repr(value)


def parse_values(key: str, text: str) -> tuple[Value, ...]:
    """`"0.1,0.3,1"` as values of the setting `key`: JSON where it is JSON, else text. Raises as
    `check_values`."""
    values: list[Value] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            value = json.loads(part)
        except (ValueError, RecursionError):
            value = part
        values.append(float(value) if key == BETA and _is_number(value) else value)
    return check_values(key, values)


def check_values(key: str, values: list[Any] | tuple[Any, ...]) -> tuple[Value, ...]:
    """The values to try of one setting. A UserError when there is none, one comes twice, one is no
    plain value, or a β is not a positive finite number."""
    if not values:
        raise UserError(f"{key}: there is no value to try; give some, such as 0.1,0.3,1.")
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise UserError(f"{key}: {json.dumps(value)} is no plain value that can be varied.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key}: {value} is no finite number.")
        if key == BETA and not (_is_number(value) and float(value) > 0):
            raise UserError(f"{key}: {value!r} is no positive number; β is tried above 0.")
    twice = next((value for value in values if list(values).count(value) > 1), None)
    if twice is not None:
        raise UserError(f"{key}: {twice!r} comes twice; name each value once.")
    return tuple(values)


def check(spec: SweepSpec) -> SweepSpec:
    """The specification, once every part of it is possible; configurations are tried one by one. A
    UserError in one sentence that names the setting where it is not."""
    for key, values in spec.vary.items():
        check_values(key, values)
    check_place(spec.place)
    if spec.workers < 1:
        raise UserError(f"workers: at least one is needed (it is {spec.workers}).")
    if spec.sampler != "grid" and spec.trials < 1:
        raise UserError(f"trials: {spec.sampler} needs to know how many runs to draw.")
    if spec.total > MOST_RUNS:
        raise UserError(f"The sweep has {spec.total} runs; {MOST_RUNS} is the most.")
    if not spec.vary:
        raise UserError("Nothing is varied; give values of β, such as 0.1,0.3,1.")
    from vae_core.families import complete  # imports torch
    from vae_core.models.likelihoods import settings_of

    first = {key: values[0] for key, values in spec.vary.items()}
    for key, values in spec.vary.items():
        for value in values:
            config = complete(spec.config(first | {key: value}))
        if key == SIGMA and len(values) > 1 and "sigma" not in settings_of(config.model.likelihood):
            raise UserError(
                f"{SIGMA}: only a fixed Gaussian or Laplace takes σ from it, so that all these "
                "runs would be the same; set model.likelihood=gaussian."
            )
    if spec.sampler == "tpe":
        _check_that_nats_compare(
            spec, "TPE looks for the best ELBO", "take every combination or random draws"
        )
    if spec.pruner != "none":
        _check_that_nats_compare(spec, "a pruner stops runs of a low ELBO", "let all runs end")
    return spec


def _check_that_nats_compare(spec: SweepSpec, why: str, remedy: str) -> None:
    """Who goes by the ELBO needs runs that all mean the same by it."""
    from vae_core.families import families

    for key, values in spec.vary.items():
        with_elbo = {"kl" in families[str(name)].terms for name in values if key == "family"}
        if len(with_elbo) > 1 or (key in OTHER_NATS and len(values) > 1):
            raise UserError(
                f"{key}: {why}, and runs that differ in this measure other nats; {remedy}."
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
