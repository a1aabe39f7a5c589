"""The learning curves of a run, read from its history: the figures that symptoms are read from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig

RECENT_STEPS = 30
"""What "now" means of training: so many steps, whether they are recorded one by one or together."""

USED = 0.1
"""Nats: a dimension below carries nothing."""

QUANTISED = {"perplexity", "codes_in_use"}
"""Terms of models with a finite set of codes."""


@dataclass(frozen=True)
class Record:
    """One record: means since the last one, or a validation. Terms in nats per image.

    images, codes_drawn: what a validation measured, 0 where the record does not say.
    """

    step: int
    epoch: int
    terms: Mapping[str, float]
    total: float
    beta: float | None
    kl_per_dim: tuple[float, ...] = ()
    images: int = 0
    codes_drawn: int = 0

    @property
    def rate(self) -> float | None:
        """KL, None where there is none to learn: a quantised code's is a constant."""
        return None if QUANTISED & self.terms.keys() else self.terms.get("kl")


@dataclass(frozen=True)
class LearningCurves:
    """A configuration, what has been recorded of its training so far, and how it failed, if so."""

    config: RunConfig
    training: tuple[Record, ...]
    validations: tuple[Record, ...]
    message: str = ""
    kl_per_dim: tuple[float, ...] = ()
    """The newest of unseen images, of a validation or a preview; () where none was recorded."""

    @property
    def recent(self) -> tuple[Record, ...]:
        """The records of the last `RECENT_STEPS` steps, or the newest one where it has more."""
        first = self.training[-1].step - RECENT_STEPS if self.training else 0
        return tuple(record for record in self.training if record.step > first)

    @property
    def beta(self) -> float | None:
        """The weight of the KL now, None for families without one."""
        return self.training[-1].beta if self.training else None

    @property
    def beta_is_settled(self) -> bool:
        """False while a warm-up or a cycle moves β: what is seen then is meant to pass."""
        return len({record.beta for record in (*self.training[-3:], *self.recent)}) == 1

    @property
    def kl(self) -> float | None:
        """The rate now: the mean of the recent records, nats per image."""
        values = [record.rate for record in self.recent if record.rate is not None]
        return sum(values) / len(values) if values else None

    @property
    def dimensions(self) -> int:
        """How many dimensions share the KL; the setting, where none was measured yet."""
        return len(self.kl_per_dim) or self.config.model.latent_dim

    @property
    def kl_per_used_dimension(self) -> float | None:
        """Nats that a dimension carries which carries anything, on unseen images; all share the
        rate of training where no dimensions were measured yet."""
        if not self.kl_per_dim:
            return None if self.kl is None else self.kl / self.dimensions
        used = [value for value in self.kl_per_dim if value >= USED]
        return sum(used) / len(used) if used else None


def learning_curves(
    lines: Iterable[Mapping[str, Any]], config: RunConfig, message: str = ""
) -> LearningCurves:
    """The curves that the records of a history.jsonl tell; damaged records are passed over.
    `message` says why the run failed, "" where it did not."""
    training: list[Record] = []
    validations: list[Record] = []
    by_kind = {"step": training, "validation": validations}
    per_dim: tuple[float, ...] = ()
    for line in lines:
        per_dim = _per_dimension(line) or per_dim
        series = by_kind.get(str(line.get("kind")))
        beta = training[-1].beta if training else None
        if series is not None and (record := _parse(line, beta)) is not None:
            series.append(record)
    return LearningCurves(config, tuple(training), tuple(validations), message, per_dim)


def _parse(line: Mapping[str, Any], beta: float | None) -> Record | None:
    """A line of the history, None where it is damaged; `beta` counts where it names no weight."""
    try:
        terms = {str(name): float(value) for name, value in line["terms"].items()}
        # A KL that is only watched weighs 0; its parts are weighed by the control called β.
        beta = line.get("weights", {}).get("kl") or line.get("beta", beta)
        record = Record(
            int(line["step"]),
            int(line["epoch"]),
            terms,
            float(line["total"]),
            None if beta is None else float(beta),
            _per_dimension(line),
            int(line.get("images", 0)),
            int(line.get("codes_drawn", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    return record if all(map(math.isfinite, (*terms.values(), record.total))) else None


def _per_dimension(line: Mapping[str, Any]) -> tuple[float, ...]:
    """The KL of every dimension that a record has; () where it has none, or a damaged one."""
    try:
        values = tuple(float(value) for value in line.get("kl_per_dim") or ())
    except (TypeError, ValueError, OverflowError):
        return ()
    return values if all(map(math.isfinite, values)) else ()
