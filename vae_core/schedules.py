"""A value as a function of the optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Schedule = Callable[[int], float]
ScheduleName = Literal["constant", "linear", "cyclical"]
DecayName = Literal["constant", "cosine", "exponential"]


def constant(value: float) -> Schedule:
    """`value` at every step."""
    return lambda step: value


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` at step 0 to `end` at step `steps`, and `end` from there on.

    As a warm-up of β: Bowman et al., Generating Sentences from a Continuous Space (2016). As a
    capacity: Burgess et al., Understanding disentangling in β-VAE (2018).
    """
    return lambda step: end if step >= steps else start + (end - start) * step / steps


def cyclical(value: float, period: int, ramp: float = 0.5) -> Schedule:
    """Rises from 0 to `value` over the first `ramp` of every `period` steps, then stays.

    Source: Fu et al., Cyclical Annealing Schedule (2019).
    """
    rise = linear(0.0, value, max(1, round(period * ramp)))
    return lambda step: rise(step % period)


def cosine(value: float, steps: int) -> Schedule:
    """Falls from `value` at step 0 to 0 at step `steps` along half a cosine.

    As a learning rate: Loshchilov and Hutter, SGDR (2017), equation 5, without restarts.
    """
    return lambda step: value * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))


def exponential(value: float, factor: float, period: int) -> Schedule:
    """`value`, multiplied by `factor` after every `period` steps.

    As a learning rate it is a tutorial's ExponentialLR, stepped once an epoch.
    """
    return lambda step: value * factor ** (step // period)


def warmed_up(schedule: Schedule, steps: int) -> Schedule:
    """A schedule times a share that rises evenly to 1 over the first `steps` steps, the first of
    which takes 1 / `steps`; itself where there are none.

    Source: Goyal et al., Accurate, Large Minibatch SGD (2017), section 2.2.
    """
    if not steps:
        return schedule
    return lambda step: schedule(step) * min(1.0, (step + 1) / steps)


def shifted(schedule: Schedule, begin: int) -> Schedule:
    """A schedule that is at its step 0 until step `begin`: a restart, as in SGDR."""
    return lambda step: schedule(max(0, step - begin))


SCHEDULES: dict[ScheduleName, Callable[[float, int], Schedule]] = {
    "constant": lambda value, steps: constant(value),
    "linear": lambda value, steps: linear(0.0, value, steps),
    "cyclical": lambda value, steps: cyclical(value, steps),
}
"""Each makes a weight's schedule from its final value and the steps of its warm-up or period."""


@dataclass(frozen=True)
class Span:
    """What a learning rate's decay extends over: the steps of a run and of an epoch, and the
    factor that an epoch leaves of it.

    begin: the step from which on it falls, from its first value: where a run was trained on.
    """

    steps: int
    epoch: int
    factor: float
    begin: int = 0


DECAYS: dict[DecayName, Callable[[float, Span], Schedule]] = {
    "constant": lambda value, span: constant(value),
    "cosine": lambda value, span: shifted(cosine(value, span.steps - span.begin), span.begin),
    "exponential": lambda value, span: exponential(value, span.factor, span.epoch),
}
"""Each makes a learning rate's schedule from its first value and the span of the run."""
