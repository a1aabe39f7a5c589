"""Where a training stands: all that a step changes, and with it all that a save holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.config import RunConfig
from vae_core.data import Dataset
from vae_core.data.batches import as_floats, check_batch_size, labels_at
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.registry import unknown
from vae_core.schedules import Span
from vae_core.training.best import Best
from vae_core.training.events import Checkpoint
from vae_core.training.memory import COUNTED, Room, free_memory, measured
from vae_core.training.players import Players, fitting
from vae_core.training.recovery import Diverged, Recovery
from vae_core.training.soundness import INSTEAD
from vae_core.types import Context


class Standing:
    """Step, weights, optimisers, noise, values set by hand, and what is remembered of the way.

    Raises (on construction):
        UserError: when the batch is larger than the data.
    """

    def __init__(
        self, config: RunConfig, dataset: Dataset, model: LatentModel, objective: Objective
    ) -> None:
        train, n = config.train, len(dataset.train)
        check_batch_size(train.batch_size, n)
        self.config, self.dataset, self.model, self.objective = config, dataset, model, objective
        self.device = model.device
        self.steps_per_epoch = math.ceil(n / train.batch_size)
        self.total_steps = self.steps_per_epoch * train.epochs
        span = Span(self.total_steps, self.steps_per_epoch, train.decay_factor)
        self.players = Players(train, model, objective, span)
        self.recovery, self.best = Recovery(), Best()
        self.step, self.seconds = 0, 0.0
        self.validated = 0
        """The step of the last validation."""
        self.saved: int | None = None
        """The step of the last save."""
        self.overrides: dict[str, float] = {}
        self.trained_with: Mapping[str, float] = {}

    def now(self) -> tuple[int, int, float]:
        """What every event begins with."""
        return self.step, math.ceil(self.step / self.steps_per_epoch), self.seconds

    def moment(self, generator: torch.Generator) -> Context:
        """The moment that made the weights: that of the last step, whose β is in force in them.

        A schedule's next value, or one set by hand since, counts from the next step on.
        """
        last = self.context(generator)
        return replace(last, step=max(0, self.step - 1), overrides=self.trained_with)

    def context(self, generator: torch.Generator, labels: Tensor | None = None) -> Context:
        """The moment of the next step."""
        images = len(self.dataset.train)
        return Context(self.step, generator, self.overrides, labels, images, self.total_steps)

    def final_controls(self) -> dict[str, float]:
        """The objective's controls in the last step of the run, as far as is known now."""
        return self.objective.controls(
            Context(self.total_steps - 1, overrides=self.overrides, total_steps=self.total_steps)
        )

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Context]:
        """Images of the training part as floats, and the moment of a step on them."""
        part = self.dataset.train
        labels = labels_at(part, indices, self.device)
        x = as_floats(part.images.gather(indices), self.device)
        return x, self.context(self.players.noise, labels)

    def set(self, name: str, value: float) -> None:
        """Take a value where the objective has such a control and its setting allows it.

        Raises:
            UserError: where it does not.
        """
        controls = self.objective.controls(Context(self.step))
        if name not in controls:
            raise unknown("value to set", name, controls)
        entry = families[self.config.family]
        if name in entry.options.model_fields:
            entry.parse_options(self.config.objective | {name: value}, "objective")
        self.overrides = {**self.overrides, name: value}
        if self.players.spikes is not None:
            self.players.spikes.forget()

    def room(self) -> Room:
        """What a step needs of what is free; asked before the first.

        Raises:
            UserError: when it is more than that.
        """
        rehearse, train = self.players.rehearse, self.config.train
        if train.compile or train.batch_size <= COUNTED:  # it compiles for sizes that never come
            return Room(0.0, free_memory(self.device))
        room = measured(lambda n: rehearse(*self.batch(np.arange(n))), self.device)
        if said := room.refusal(train.batch_size):
            raise UserError(f"{said} {self.kept()}")
        return room

    def require_sound(self) -> None:
        """Nothing is shown, measured or saved of what is not finite.

        Raises:
            Diverged: when it would be.
        """
        if self.players.broken():
            raise Diverged("the weights are not finite")

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from this step."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "overrides": dict(self.overrides),
            "trained_with": dict(self.trained_with),
            "validated": self.validated,
            "recovery": self.recovery.state(),
            "best": self.best.state(),
            **self.players.state(),
        }
        return Checkpoint(*self.now(), state, self.best.unsaved)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where a save stood.

        Raises:
            UserError: when it is that of another run, or its numbers are none.
        """
        with fitting():
            self.players.restore(state)
            self.overrides = {name: float(value) for name, value in state["overrides"].items()}
            self.trained_with = dict(state.get("trained_with", self.overrides))
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.validated = int(state.get("validated", self.step))
            self.recovery = Recovery.restored(state.get("recovery", {}))
            self.best = Best.restored(state.get("best"))
            if not 0 <= self.step <= self.total_steps:
                raise ValueError(f"it is of step {self.step} of {self.total_steps}")
        if self.players.broken():
            said = f"The weights are not finite at step {self.step}: training diverged."
            raise UserError(f"{said} {INSTEAD}")
        self.saved = self.step

    def kept(self) -> str:
        """Which weights are saved, as a sentence."""
        if not self.saved:
            return "Nothing had been saved yet."
        return f"The weights of step {self.saved} are saved."
