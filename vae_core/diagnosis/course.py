"""The course of a training, as its history tells it: the figures that symptoms are read from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig


@dataclass(frozen=True)
class Moment:
    """One record: means since the last one, or a validation. Terms in nats per image."""

    step: int
    epoch: int
    terms: Mapping[str, float]
    total: float
    beta: float | None
    kl_per_dim: tuple[float, ...] = ()

    @property
    def rate(self) -> float | None:
        """KL, None where there is none to learn: a quantised code's is a constant."""
        return None if "perplexity" in self.terms else self.terms.get("kl")


@dataclass(frozen=True)
class Course:
    """A configuration, what has been recorded of its training so far, and how it failed, if so."""

    config: RunConfig
    training: tuple[Moment, ...]
    validations: tuple[Moment, ...]
    message: str = ""

    @property
    def beta(self) -> float | None:
        """The weight of the KL now, None for families without one."""
        return self.training[-1].beta if self.training else None

    @property
    def beta_is_settled(self) -> bool:
        """False while a warm-up or a cycle moves β: what is seen then is meant to pass."""
        return len({moment.beta for moment in self.training[-3:]}) == 1

    @property
    def kl(self) -> float | None:
        """The rate now: the mean of the last three records, nats per image."""
        values = [moment.rate for moment in self.training[-3:] if moment.rate is not None]
        return sum(values) / len(values) if values else None

    @property
    def dimensions(self) -> int:
        """How many dimensions share the KL; the setting, where none was measured yet."""
        measured = (len(moment.kl_per_dim) for moment in self.validations[-1:])
        return next(measured, 0) or self.config.model.latent_dim


def course_of(records: Iterable[Mapping[str, Any]], config: RunConfig, message: str = "") -> Course:
    """The course that the records of a history.jsonl tell; damaged records are passed over.

    Args:
        message: why the run failed, "" where it did not.
    """
    training: list[Moment] = []
    validations: list[Moment] = []
    kept = {"step": training, "validation": validations}
    for record in records:
        moments = kept.get(str(record.get("kind")))
        beta = training[-1].beta if training else None
        if moments is not None and (moment := _moment(record, beta)) is not None:
            moments.append(moment)
    return Course(config, tuple(training), tuple(validations), message)


def _moment(record: Mapping[str, Any], beta: float | None) -> Moment | None:
    """A record as a moment, None where it is damaged; `beta` counts where it names no weight."""
    try:
        terms = {str(name): float(value) for name, value in record["terms"].items()}
        # A KL that is only watched weighs 0; its parts are weighed by the control called β.
        beta = record.get("weights", {}).get("kl") or record.get("beta", beta)
        moment = Moment(
            int(record["step"]),
            int(record["epoch"]),
            terms,
            float(record["total"]),
            None if beta is None else float(beta),
            tuple(float(value) for value in record.get("kl_per_dim") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return moment if all(map(math.isfinite, (*terms.values(), moment.total))) else None
