"""What the steps between two records came to: sums that stay on the device until they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vae_core.objective import MODEL
from vae_core.shares import counted
from vae_core.training.events import Stepped
from vae_core.training.stability import StepCheck
from vae_core.types import Context, LossTerms, merged


@dataclass(frozen=True)
class StepSums:
    """What the terms of a step come to, on the device still, over the images that count.

    sums: of the values of each term. weights: of the terms. totals: what each player minimises, a
        mean over the batch. images: of the whole batch.
    """

    sums: Mapping[str, Tensor]
    weights: Mapping[str, float]
    totals: Mapping[str, Tensor]
    images: int

    @classmethod
    @torch.no_grad()
    def of(
        cls, losses: Mapping[str, LossTerms], totals: Mapping[str, Tensor], images: int
    ) -> StepSums:
        """Of the images at hand, of so many in the batch."""
        terms = merged(losses)
        return cls(
            {name: counted(term.value).sum() for name, term in terms.items()},
            {name: term.weight for name, term in terms.items()},
            {player: each.detach() for player, each in totals.items()},
            images,
        )

    def __add__(self, other: StepSums) -> StepSums:
        """Those of both parts of one batch."""
        sums = {name: each + other.sums[name] for name, each in self.sums.items()}
        totals = {player: each + other.totals[player] for player, each in self.totals.items()}
        return StepSums(sums, self.weights, totals, self.images)

    def tensors(self) -> list[Tensor]:
        """The very tensors in use."""
        return [*self.sums.values(), *self.totals.values()]

    @property
    def objective(self) -> Tensor:
        """What was minimised, by the model or by who was trained in its place, over all images."""
        trained = self.totals.get(MODEL)
        return self.images * (next(iter(self.totals.values())) if trained is None else trained)


@dataclass(frozen=True)
class TakenStep:
    """A step that may count: whether it does is on the device still."""

    stamp: tuple[int, int, float]
    check: StepCheck
    sums: StepSums
    context: Context
    seconds: float
    rates: Mapping[str, float]
    """Of its players: how far each went."""


@dataclass
class MetricWindow:
    """Sums over the steps between two records; tensors stay on the device until it is closed."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    controls: dict[str, float] = field(default_factory=dict)
    norms: dict[str, Tensor] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    objective: Tensor | float = 0.0
    images: int = 0
    seconds: float = 0.0

    def add(self, step: TakenStep, controls: dict[str, float]) -> None:
        """Take in one step."""
        found = step.sums
        for name, value in found.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + found.images
        for player, norm in step.check.norms.items():
            self.norms[player] = self.norms.get(player, 0.0) + norm
            self.steps[player] = self.steps.get(player, 0) + 1
        self.rates |= step.rates
        self.weights |= found.weights
        self.objective = self.objective + found.objective
        self.controls = controls
        self.images += found.images
        self.seconds += step.seconds

    def close(self, step: int, epoch: int, seconds: float) -> Stepped:
        """The means over all images of the window, or over those of its steps with the term; of
        gradients, over all of its steps."""
        there = [torch.as_tensor(self.objective), *self.sums.values(), *self.norms.values()]
        objective, *values = torch.stack(there).tolist()  # all in one: a GPU is waited for once
        found = iter(values)
        terms = {name: next(found) / self.counts[name] for name in self.sums}
        norms = {player: next(found) / self.steps[player] for player in self.norms}
        return Stepped(
            step,
            epoch,
            seconds,
            terms,
            self.weights,
            self.controls,
            total=objective / self.images,
            images_per_s=self.images / max(self.seconds, 1e-9),
            gradient_norms=norms,
            learning_rates=self.rates,
        )
