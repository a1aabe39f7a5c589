"""What the steps between two records came to: sums that stay on the device until they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vae_core.objective import MODEL
from vae_core.training.events import Stepped
from vae_core.training.stability import StepCheck
from vae_core.types import Context, LossTerms, merged, total


@dataclass(frozen=True)
class TakenStep:
    """What a step came to, on the device still: what it sums up over its images, and whether it
    counts."""

    stamp: tuple[int, int, float]
    check: StepCheck
    sums: dict[str, Tensor]
    counts: dict[str, int]
    weights: dict[str, float]
    objective: Tensor
    """What was minimised, by the model or by who was trained in its place, over all images."""
    context: Context
    images: int
    seconds: float

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        losses: Mapping[str, LossTerms],
        check: StepCheck,
        context: Context,
        images: int,
        stamp: tuple[int, int, float],
        seconds: float,
    ) -> TakenStep:
        """A step with these terms of its players."""
        trained = losses[MODEL] if MODEL in losses else next(iter(losses.values()))
        terms = merged(losses)
        return cls(
            stamp,
            check,
            sums={name: term.value.sum() for name, term in terms.items()},
            counts={name: len(term.value) for name, term in terms.items()},
            weights={name: term.weight for name, term in terms.items()},
            objective=total(trained) * images,
            context=context,
            images=images,
            seconds=seconds,
        )


@dataclass
class MetricWindow:
    """Sums over the steps between two records; tensors stay on the device until it is closed."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    controls: dict[str, float] = field(default_factory=dict)
    objective: Tensor | float = 0.0
    images: int = 0
    seconds: float = 0.0

    def add(self, step: TakenStep, controls: dict[str, float]) -> None:
        """Take in one step."""
        for name, value in step.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + step.counts[name]
        self.weights |= step.weights
        self.objective = self.objective + step.objective
        self.controls = controls
        self.images += step.images
        self.seconds += step.seconds

    def close(self, step: int, epoch: int, seconds: float) -> Stepped:
        """The means over all images of the window, or over those of its steps with the term."""
        sums = torch.stack([torch.as_tensor(self.objective), *self.sums.values()])
        objective, *values = sums.tolist()  # all in one: a GPU is waited for once
        named = zip(self.sums, values, strict=True)
        terms = {name: value / self.counts[name] for name, value in named}
        mean_total = objective / self.images
        speed = self.images / max(self.seconds, 1e-9)
        return Stepped(step, epoch, seconds, terms, self.weights, self.controls, mean_total, speed)
