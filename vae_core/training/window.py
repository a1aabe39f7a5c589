"""What is summed up between two records of the loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vae_core.objective import MODEL
from vae_core.training.events import Stepped
from vae_core.types import LossTerms, merged, total


@dataclass
class Window:
    """Sums over the steps between two records; tensors stay on the device until it is closed."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    controls: dict[str, float] = field(default_factory=dict)
    objective: Tensor | float = 0.0
    images: int = 0
    seconds: float = 0.0

    def add(
        self,
        losses: Mapping[str, LossTerms],
        controls: dict[str, float],
        images: int,
        seconds: float,
    ) -> None:
        """Take in one step; its total is the model's, or that of who is trained in its place."""
        trained = losses[MODEL] if MODEL in losses else next(iter(losses.values()))
        with torch.no_grad():
            for name, term in merged(losses).items():
                self.sums[name] = self.sums.get(name, 0.0) + term.value.sum()
                self.counts[name] = self.counts.get(name, 0) + len(term.value)
                self.weights[name] = term.weight
            self.objective = self.objective + total(trained) * images
        self.controls = controls
        self.images += images
        self.seconds += seconds

    def close(self, step: int, epoch: int, seconds: float) -> Stepped:
        """The means over all images of the window, or over those of its steps with the term."""
        start = time.perf_counter()
        terms = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        mean_total = float(self.objective) / self.images
        self.seconds += time.perf_counter() - start  # a GPU does its queued work only now
        speed = self.images / max(self.seconds, 1e-9)
        return Stepped(step, epoch, seconds, terms, self.weights, self.controls, mean_total, speed)
