"""The events of a training, in the order in which the loop yields them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vae_core.metrics import Measurement


@dataclass(frozen=True)
class Event:
    """`step` counts finished steps, those that were skipped included; `seconds` is time spent
    training, pauses excluded."""

    step: int
    epoch: int
    seconds: float


@dataclass(frozen=True)
class Stepped(Event):
    """Means over the steps since the last of these, and the weights, controls and learning rates
    of the newest.

    Terms are in the units of their family, most in nats per image. gradient_norms: by player, ‖g‖₂
    over all of its weights, before anything is clipped. learning_rates: by player.
    """

    terms: dict[str, float]
    weights: dict[str, float]
    controls: dict[str, float]
    total: float
    images_per_s: float
    gradient_norms: dict[str, float] = field(default_factory=dict)
    learning_rates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Validated(Event):
    """A measurement of the validation images, or of those that `train.validation_images` draws."""

    measurement: Measurement


@dataclass(frozen=True)
class Previewed(Event):
    """Hold-out images as they are reconstructed now, and samples from the same z each time.

    originals, reconstructions, samples: floats in [0, 1], [n, C, H, W].
    corrupted: what was encoded, with the same noise each time; None where it is the originals.
    kl_per_dim: nats over the hold-outs, or None.
    """

    originals: Tensor
    corrupted: Tensor | None
    reconstructions: Tensor
    samples: Tensor
    kl_per_dim: list[float] | None


@dataclass(frozen=True)
class Checkpoint(Event):
    """Everything that an exact resume needs.

    best: weights of model and objective of the best validation, those of step
        `state["best"]["step"]`; None where a save before holds them, or there is none yet.
    """

    state: Mapping[str, Any]
    best: Mapping[str, Mapping[str, Tensor]] | None = None


@dataclass(frozen=True)
class EpochSaved(Event):
    """The save just before holds the end of an epoch. Where epochs are short, not every one is."""


@dataclass(frozen=True)
class Skipped(Event):
    """A step was not taken, or a validation left out: it had come to numbers that are none."""

    message: str


@dataclass(frozen=True)
class RolledBack(Event):
    """Training begins again at `step`, that of the last save, with less of the learning rate.

    from_step: what had been reached; the steps after `step` come again.
    state: the training state that was gone back to, with the returns and what they left of the
        learning rate.
    """

    from_step: int
    message: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class ValueSet(Event):
    """A value was changed by hand."""

    name: str
    value: float


@dataclass(frozen=True)
class BestTaken(Event):
    """A run with patience has come to its end, and its weights are those of its best validation.

    best_step: of that validation. early: whether more steps had been planned.
    """

    best_step: int
    message: str
    early: bool


@dataclass(frozen=True)
class Noted(Event):
    """Something that people who look at the run should know, such as a request that was refused."""

    message: str


@dataclass(frozen=True)
class PauseChanged(Event):
    """The loop went to sleep, or woke up."""

    paused: bool


@dataclass(frozen=True)
class Ended(Event):
    """The last event: every step is done, or somebody said stop."""

    finished: bool
