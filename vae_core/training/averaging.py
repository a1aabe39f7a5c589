"""A running average of the weights, beside those that are trained: `train.ema`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.training.stability import named_tensors


class WeightAverage:
    """A model and an objective whose weights follow those of a training:

    θ̄ₜ = d·θ̄ₜ₋₁ + (1 − d)·θₜ, where d = min(decay, (1 + t) / (10 + t)), so that the weights of
    the beginning are soon forgotten. Running statistics and codebooks are averaged as weights are;
    whole numbers are taken over.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992); the
    exponential form, and d of the first steps: TensorFlow's `train.ExponentialMovingAverage`.
    """

    def __init__(self, decay: float, model: LatentModel, objective: Objective) -> None:
        """`model` and `objective` are those that are trained; the average begins as they are."""
        self.decay = decay
        self.model, self.objective = copy.deepcopy((model, objective))
        self.model.requires_grad_(False)
        self.objective.requires_grad_(False)
        newest = dict(named_tensors(modules_of(model, objective), ""))
        pairs = [(each, newest[name]) for name, each in named_tensors(self.modules(), "")]
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._taken_over = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def follow(self, step: int, refused: Tensor) -> None:
        """Take in the weights after `step` of them; nothing where it was `refused`, as `StepCheck`
        has it. Nobody waits for that to be known."""
        share = (1.0 - min(self.decay, (1 + step) / (10 + step))) * (1.0 - refused)
        for average, newest in self._averaged:
            average.lerp_(newest, share.to(average.dtype))
        for ours, newest in self._taken_over:
            ours.copy_(newest)

    @torch.no_grad()
    def begin(self) -> None:
        """Be what the weights are now."""
        for ours, newest in (*self._averaged, *self._taken_over):
            ours.copy_(newest)

    def modules(self) -> dict[str, Any]:
        """Its weights and buffers, the very ones in use."""
        return modules_of(self.model, self.objective)

    def load_modules(self, modules: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Go on from what `modules` gave; what does not belong here raises as torch does."""
        self.model.load_state_dict(modules["model"])
        self.objective.load_state_dict(modules["objective"])


def modules_of(model: LatentModel, objective: Objective) -> dict[str, Any]:
    """The weights and buffers of model and objective, the very ones in use."""
    return {"model": model.state_dict(), "objective": objective.state_dict()}
