"""β and the other weights that made the weights of a network: one truth for whoever shows them.

A schedule moves a weight, somebody sets it during the training, and a run may end before either
has come to an end. So what the configuration says is a plan. In force at a step is what that step
was trained with: the schedule's value then, or the last one set by hand before it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vae_core.config import RunConfig, parse_config
from vae_core.runs import DataCard, Run, layout

Controls = Callable[[int, Mapping[str, float], int], dict[str, float]]
"""Asked for a step, the values set by hand and the steps of the whole run."""


def beta_in_force(run: Run, step: int | None = None) -> float | None:
    """β with which a run's weights were trained; None for families without one.

    Args, Raises: as `controls_in_force`.
    """
    return controls_in_force(run, step).get("beta")


def controls_in_force(run: Run, step: int | None = None) -> dict[str, float]:
    """What can be turned during a training, such as β or a capacity: {name: value at `step`}.

    Args:
        step: the step that is asked about; that of the saved weights unless it is given.

    Raises:
        UserError: when a file of the run is missing or damaged, or its family is not installed.
    """
    step = _saved_step(run) if step is None else step
    summary = run.summary()
    if summary.get("step") == step and isinstance(summary.get("controls"), dict):
        return dict(summary["controls"])
    set_by_hand = {name: value for at, name, value in run.set_by_hand() if at < step}
    asked = controls_of(run.config(), run.data_card())
    return asked(max(0, step - 1), set_by_hand, run.status().total_steps)


def weights_in_force(run: Run, step: int | None = None) -> dict[str, float]:
    """The weights of the terms of the loss: {term: weight at `step`}, 0 for what is only watched.

    Of a run that neither was summarised at `step` nor has recorded weights (made by an early
    version) only the weights that stand in its family's formula are known.

    Args, Raises: as `controls_in_force`.
    """
    step = _saved_step(run) if step is None else step
    summary = run.summary()
    if summary.get("step") == step and isinstance(summary.get("term_weights"), dict):
        return dict(summary["term_weights"])
    from vae_core.families import families

    config = run.config()
    family = families[config.family]
    options = family.parse_options(config.objective, "objective")
    formula = family.weights_in(options, controls_in_force(run, step))
    return _recorded(run, step) | formula


def controls_of(config: RunConfig, card: DataCard) -> Controls:
    """What an objective says of its controls before the step that follows `step` others."""
    return _controls_of(config.to_json(), card.model_dump_json())


@functools.lru_cache(maxsize=256)
def _controls_of(config: str, card: str) -> Controls:
    # Late, because torch takes a second to come and a run that was measured tells without it.
    import torch

    from vae_core.families import build
    from vae_core.types import Context

    with torch.device("meta"):  # the objective alone is asked; no weight is allocated
        objective = build(parse_config(config), DataCard.model_validate_json(card))[1]

    def asked(step: int, overrides: Mapping[str, float], total_steps: int) -> dict[str, float]:
        return objective.controls(Context(step, None, overrides, total_steps=total_steps))

    return asked


def _saved_step(run: Run) -> int:
    step = run.weights_step()
    if step is not None:
        return step
    from vae_core.loading import weights_step  # late as well: it knows why there is none

    return weights_step(run)


def _recorded(run: Run, step: int) -> dict[str, float]:
    """The weights of the newest record up to `step`, else of the oldest; {} without any."""
    last = _weighted(run.last_records(layout.HISTORY))
    until = (each for each in reversed(last) if each[0] <= step)
    oldest = iter(_weighted(run.records(layout.HISTORY, holding=b'"weights"')[0]))
    return (next(until, None) or next(oldest, None) or (step, {}))[1]


def _weighted(records: Sequence[Mapping[str, Any]]) -> list[tuple[float, dict[str, float]]]:
    """(step, weights) of the records that have some; damaged ones are passed over."""
    found = []
    for record in records:
        with suppress(KeyError, TypeError, ValueError, OverflowError, AttributeError):
            weights = {name: float(value) for name, value in record["weights"].items()}
            found.append((float(record.get("step", math.inf)), weights))
    return found
