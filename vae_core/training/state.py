"""The state of a training: all that a step changes, and with it all that a save holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.config import RunConfig
from vae_core.data import Dataset
from vae_core.data.batches import check_batch_size, check_sampling
from vae_core.data.feed import Feed
from vae_core.errors import UserError
from vae_core.families import families, may_accumulate
from vae_core.models import LatentModel
from vae_core.models.batch_norm import batch_norms
from vae_core.objective import Objective
from vae_core.progress import Progress, no_progress
from vae_core.registry import unknown
from vae_core.run_data import data_card
from vae_core.schedules import Span
from vae_core.training.checkpoint import BestWeights
from vae_core.training.distributed import ALONE, Distributed
from vae_core.training.events import Checkpoint
from vae_core.training.memory import (
    PROBE_IMAGES,
    MemoryBudget,
    fits_on_device,
    free_memory,
    measure_memory,
)
from vae_core.training.players import Players
from vae_core.training.precision import FULL
from vae_core.training.stability import ADVICE, Diverged, Recovery
from vae_core.types import Context


class TrainState:
    """Step, weights, optimisers, random numbers, values set by hand, and the counts of the way.

    Raises (on construction):
        UserError: when the batch is larger than the data, or labels that there are none of are to
            be balanced.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        model: LatentModel,
        objective: Objective,
        group: Distributed = ALONE,
    ) -> None:
        """`group`: the processes that train together, with the same of everything."""
        train, n = config.train, len(dataset.train)
        check_batch_size(train.batch_size, n)
        check_sampling(train.sampling, dataset.train)
        self.config, self.dataset, self.model, self.objective = config, dataset, model, objective
        self.device = model.device
        self.steps_per_epoch = train.steps_per_epoch(n)
        self.total_steps = train.total_steps(n)
        span = Span(self.total_steps, self.steps_per_epoch, train.decay_factor, train.continued_at)
        self.group = group
        self.players = Players(train, model, objective, span, group)
        self.resident = fits_on_device(dataset.train.images, self.device)
        """Whether the images lie on the device while it trains; decided once."""
        self.feed_from(resident=False)
        self.recovery, self.best = Recovery(), BestWeights()
        self.step, self.seconds = 0, 0.0
        self.ended_early = False
        """Whether it ended at this step, before the last one that was planned."""
        self.validated = 0
        """The step of the last validation."""
        self.saved: int | None = None
        """The step of the last save."""
        self.overrides: dict[str, float] = {}
        self.trained_with: Mapping[str, float] = {}

    def stamp(self) -> tuple[int, int, float]:
        """Step, epoch and seconds: what every event begins with."""
        return self.step, math.ceil(self.step / self.steps_per_epoch), self.seconds

    def last_context(self, generator: torch.Generator) -> Context:
        """The context of the last step, which made the weights: its β is in force in them.

        A schedule's next value, or one set by hand since, counts from the next step on.
        """
        following = self.context(generator)
        return replace(following, step=max(0, self.step - 1), overrides=self.trained_with)

    def context(self, generator: torch.Generator, labels: Tensor | None = None) -> Context:
        """The context of the next step."""
        images = len(self.dataset.train)
        return Context(self.step, generator, self.overrides, labels, images, self.total_steps)

    def final_controls(self) -> dict[str, float]:
        """The objective's controls in the last step of the run, as far as is known now."""
        return self.objective.controls(
            Context(self.total_steps - 1, overrides=self.overrides, total_steps=self.total_steps)
        )

    @property
    def patience(self) -> int:
        """Steps that a better validation is waited for; 0 where none is."""
        return self.config.train.early_stopping_patience * self.steps_per_epoch

    @property
    def out_of_patience(self) -> bool:
        """Whether the best validation lies too far back for another to be waited for.

        Source: Prechelt, Early stopping, but when? (1998), criterion UP with a fixed strip.
        """
        if not self.patience or self.best.step is None:
            return False
        return self.step - max(self.best.step, self.config.train.continued_at) >= self.patience

    def feed_from(self, resident: bool, progress: Progress = no_progress) -> None:
        """Have the batches come from images on the device, or from where they lie now."""
        part, train = self.dataset.train, self.config.train
        self.feed = Feed(part, train, self.device, resident, progress, self._places)

    def _places(self, batch: int) -> np.ndarray:
        """Which rows of a batch of so many images this process computes."""
        shares = self.players.shares(batch)
        return np.concatenate(
            [np.arange(batch)[slice(None) if each is None else each.places] for each in shares]
        )

    def batch(
        self, indices: np.ndarray, following: np.ndarray | None = None
    ) -> tuple[Tensor, Context]:
        """Images of the training part as floats, and the context of a step on them; of those at
        hand, where several processes share them out. `following`: the images of the step after it,
        to be fetched meanwhile."""
        x, labels, mask = self.feed.at(indices, self.step, following)
        context = self.context(self.players.generator, labels)
        return x, replace(context, mask=mask, batch=len(indices))

    def probe(self, images: int) -> tuple[Tensor, Context]:
        """The first so many images of the training part as this process alone would see them, for
        a step that is not taken."""
        feed = Feed(self.dataset.train, self.config.train, self.device)
        x, labels, mask = feed.at(np.arange(images), self.step)
        return x, replace(self.context(self.players.generator, labels), mask=mask)

    @property
    def at_once(self) -> int:
        """Images of a full batch that this process computes at once."""
        shares = self.players.shares(self.config.train.batch_size)
        return max(self.config.train.batch_size if each is None else each.rows for each in shares)

    def set(self, name: str, value: float) -> None:
        """Take a value where the objective has such a control and its setting allows it; else a
        UserError."""
        controls = self.objective.controls(Context(self.step))
        if name not in controls:
            raise unknown("value to set", name, controls)
        entry = families[self.config.family]
        if name in entry.options.model_fields:
            entry.parse_options(self.config.objective | {name: value}, "objective")
        self.overrides = {**self.overrides, name: value}
        if self.players.spikes is not None:
            self.players.spikes.reset()

    def check_memory(self) -> MemoryBudget:
        """What a step needs of what is free; asked before the first. A UserError when it is more
        than that."""
        dry_run, train = self.players.dry_run, self.config.train
        if train.compile or train.batch_size <= PROBE_IMAGES:  # it compiles for sizes never to come
            return MemoryBudget(0.0, free_memory(self.device))
        budget = measure_memory(lambda n: dry_run(*self.probe(n)), self.device)
        may = may_accumulate(self.config, data_card(self.dataset))
        parts = train.accumulate if may else None
        budget = replace(budget, shares=train.accumulate * self.group.world, parts=parts)
        if refusal := budget.refusal(train.batch_size):
            raise UserError(f"{refusal} {self.describe_save()}")
        return budget

    def keep_layers_in_full(self) -> str:
        """Let layers that cannot be computed in the lower precision of this training stay in fp32;
        asked before the first step, and before anything is compiled.

        Returns:
            Which these are and why, as a sentence; "" where there are none, or none beside those
            that a save knows.

        Raises:
            UserError: when training cannot be computed in this precision at all.
        """
        if self.players.precision.name == FULL:
            return ""
        images = min(PROBE_IMAGES, self.config.train.batch_size)
        return self.players.keep_layers_in_full(*self.probe(images))

    def seen_in_parts(self) -> str:
        """What looks at a part of a batch alone where gradients are accumulated, as a sentence; ""
        where nothing does."""
        seen = ["batch normalisation"] if batch_norms([self.model, self.objective]) else []
        seen += ["σ"] if self.model.likelihood.by_batch else []
        if self.config.train.accumulate == 1 or not seen:
            return ""
        return (
            f"Gradients are accumulated: {' and '.join(seen)} {'go' if seen[1:] else 'goes'} by "
            f"{-(-self.config.train.batch_size // self.config.train.accumulate)} images at a time, "
            "all else by whole batches."
        )

    def require_finite(self) -> None:
        """Nothing is shown, measured or saved of what is not finite: a Diverged in its place."""
        if self.players.find_non_finite():
            raise Diverged("the weights are not finite")

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from this step."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "overrides": dict(self.overrides),
            "trained_with": dict(self.trained_with),
            "validated": self.validated,
            "ended_early": self.ended_early,
            "recovery": self.recovery.state_dict(),
            "best": self.best.state_dict(),
            **self.players.state_dict(),
        }
        return Checkpoint(*self.stamp(), state, self.best.unsaved)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what a save holds. A UserError when it is that of another run, or its numbers
        are none."""
        with _must_fit():
            self.players.load_state_dict(state)
            self.overrides = {name: float(value) for name, value in state["overrides"].items()}
            self.trained_with = dict(state.get("trained_with", self.overrides))
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.validated = int(state.get("validated", self.step))
            self.recovery = Recovery.from_state(state.get("recovery", {}))
            self.best = BestWeights.from_state(state.get("best"))
            if not 0 <= self.step <= self.total_steps:
                raise ValueError(f"it is of step {self.step} of {self.total_steps}")
            on = self.step == self.config.train.continued_at  # and then it goes on from here
            self.ended_early = bool(state.get("ended_early")) and not on
            if self.ended_early:
                self.total_steps = self.step
        if self.players.find_non_finite():
            problem = f"The weights are not finite at step {self.step}: training diverged."
            raise UserError(f"{problem} {ADVICE}")
        self.saved = self.step

    def describe_save(self) -> str:
        """Which weights are saved, as a sentence."""
        if not self.saved:
            return "Nothing had been saved yet."
        return f"The weights of step {self.saved} are saved."


@contextmanager
def _must_fit() -> Iterator[None]:
    """Say in one sentence, a UserError, that a state is not this run's, whatever it is that torch
    and Python raise about it."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"The saved training state does not fit this run ({reason[:200]}); the run cannot be "
            "resumed exactly. Its weights can still be explored."
        ) from None
