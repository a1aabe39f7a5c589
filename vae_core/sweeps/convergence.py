"""Why a measured run says nothing about its β: it was not trained to its end."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from pathlib import Path

from vae_core.diagnosis import LearningCurves, learning_curves
from vae_core.diagnosis.curves import Record
from vae_core.runs import Run, Status, layout

TAIL_BYTES = 2**21
"""About ten thousand records; how a run ended shows in them."""

LAST = 0.2
"""The last fifth of a run's steps, in which its loss should have settled."""

OF_THE_WAY, OF_THE_LOSS = 0.1, 0.005
"""A loss that still falls in that fifth by more than a tenth of the way it has come since its first
validation, and by more than half a per cent of itself, is plainly not done: the built-in digits
after two epochs fall by 41 % of the way, after five by 1 %; the shipped runs by 2 to 5 %."""


def not_converged(run: Run) -> str:
    """Why the run was not trained to its end, "" where it was; read once for each version of it. A
    UserError when its configuration or its status is damaged."""
    return _not_converged(run.path, run.size(layout.HISTORY), run.status())


@functools.lru_cache(maxsize=1024)
def _not_converged(path: Path, size: int, status: Status) -> str:
    if status.state != "finished":
        return f"{status.state} at step {status.step} of {status.total_steps}"
    run = Run(path)
    records = run.last_records(layout.HISTORY, TAIL_BYTES)
    curves = learning_curves(records, run.config())
    if not curves.beta_is_settled and curves.training:
        return "its β was still moving at the end"
    nats = still_falls(curves)
    if nats > 0:
        return f"its loss still fell by {nats:.2g} nats over the last fifth of its steps"
    return ""


def still_falls(curves: LearningCurves) -> float:
    """By how many nats the loss fell over the last fifth of the steps; 0 where it has settled.

    On unseen images; on those trained on where there were not two validations. 0 where nothing
    can be said.
    """
    points = _under_one_beta(curves.validations)
    if len(points) < 2:  # the first half of a training falls in any case
        points = _in_tenths(_under_one_beta(curves.training))
    if len(points) < 2:
        return 0.0
    step, loss = points[-1]
    then, earlier = [p for p in points if p[0] <= (1 - LAST) * step or p is points[0]][-1]
    # Few validations lie farther apart than a fifth; their fall is spread evenly over that.
    fall = (earlier - loss) * min(1.0, LAST * step / (step - then))
    way = max(value for _, value in points) - loss
    return fall if fall > max(OF_THE_WAY * way, OF_THE_LOSS * abs(loss)) else 0.0


def _under_one_beta(records: Sequence[Record]) -> list[tuple[float, float]]:
    """(step, loss) since β settled: losses under different β do not compare."""
    return [(m.step, m.total) for m in records if m.beta == records[-1].beta]


def _in_tenths(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over tenths of the second half of the steps: single batches scatter."""
    if not points:
        return []
    tenth = points[-1][0] / 10
    parts = [[p for p in points if k * tenth < p[0] <= (k + 1) * tenth] for k in range(5, 10)]
    return [tuple(map(statistics.fmean, zip(*part, strict=True))) for part in parts if part]  # type: ignore[misc]
