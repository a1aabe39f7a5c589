"""The training loop: data, model, objective and a control channel in, events out.

It knows no file, no process and no page. Whoever iterates over `run` decides what becomes of the
events.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vae_core.config import RunConfig
from vae_core.data import Dataset, hold_outs
from vae_core.data.batches import as_floats, check_batch_size, labels_at, shuffled
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.metrics import measuring
from vae_core.models import LatentModel
from vae_core.objectives.objective import Objective
from vae_core.registry import unknown
from vae_core.schedules import Span
from vae_core.training.compiled import compile_networks
from vae_core.training.events import (
    Checkpoint,
    Control,
    Ended,
    Event,
    Message,
    Noted,
    PauseChanged,
    Previewed,
    Validated,
    ValueSet,
    no_control,
)
from vae_core.training.players import Players, fitting
from vae_core.training.soundness import INSTEAD
from vae_core.training.window import Window
from vae_core.types import Context

PREVIEWS_A_RUN = 40
PREVIEW_SEED = 0
"""Of the samples' z: the same in all runs, whatever their seed, so that they can be compared."""
PAUSE_POLL_S = 0.05
LONGEST_WINDOW_S = 0.4
"""A record comes at least this often: charts move twice a second, however slow the steps."""


class Loop:
    """Training as an iterator of events, resumable at any step.

    Raises (on construction):
        UserError: when the batch is larger than the data, or the state is that of another run.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        model: LatentModel,
        objective: Objective,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """`state` is that of a `Checkpoint` of the same configuration; it restores everything."""
        n = len(dataset.train)
        check_batch_size(config.train.batch_size, n)
        self.config, self.dataset, self.model, self.objective = config, dataset, model, objective
        self.device = model.device
        self.steps_per_epoch = math.ceil(n / config.train.batch_size)
        self.total_steps = self.steps_per_epoch * config.train.epochs
        seldom = max(1, math.ceil(self.total_steps / PREVIEWS_A_RUN))
        self.preview_every = config.train.preview_every or seldom
        self.checkpoint_every = config.train.checkpoint_every or self.steps_per_epoch
        span = Span(self.total_steps, self.steps_per_epoch, config.train.decay_factor)
        self.players = Players(config.train, model, objective, span)
        self.overrides: dict[str, float] = {}
        self._trained_with: Mapping[str, float] = {}
        self.step, self.seconds, self._validated = 0, 0.0, 0
        self.stopping = self.paused = False
        self.longest_window_s = LONGEST_WINDOW_S
        self._window = Window()
        self._saved: int | None = None
        if config.train.compile:
            compile_networks(objective.networks(model))
        self._prepare_previews()
        if state is not None:
            self._restore(state)

    def run(self, control: Control = no_control) -> Iterator[Event]:
        """Train to the end, or until `control` says stop."""
        self.model.train()
        self.objective.train()
        if self.step == 0:
            yield self._preview()
        if self.step % self.steps_per_epoch == 0 and self._validated != self.step:
            yield from self._validate(control)
        while self.step < self.total_steps and not self.stopping:
            yield from self._epoch(self.step // self.steps_per_epoch, control)
        yield Ended(*self._now(), finished=self.step >= self.total_steps)

    def moment(self, generator: torch.Generator) -> Context:
        """The moment that made the weights: that of the last step, whose β is in force in them.

        A schedule's next value, or one set by hand since, counts from the next step on.
        """
        last = self._context(generator)
        return replace(last, step=max(0, self.step - 1), overrides=self._trained_with)

    def _epoch(self, epoch: int, control: Control) -> Iterator[Event]:
        train = self.config.train
        batches = shuffled(len(self.dataset.train), train.batch_size, train.seed, epoch)
        for indices in batches[self.step % self.steps_per_epoch :]:
            yield from self._obey(control)
            if self.stopping:
                yield from self._close_window()
                yield self._checkpoint(ends_epoch=False)
                return
            part, start = self.dataset.train, time.perf_counter()
            labels = labels_at(part, indices, self.device)
            context = self._context(self.players.noise, labels)
            x = as_floats(part.images.gather(indices), self.device)
            losses, problem = self.players.step(x, context)
            if problem:
                yield from self._give_up(problem)
            controls = self.objective.controls(context)
            self._window.add(losses, controls, len(indices), time.perf_counter() - start)
            self.seconds += time.perf_counter() - start
            self.step, self._trained_with = self.step + 1, context.overrides
            ends_epoch = self.step % self.steps_per_epoch == 0
            slow = self._window.seconds >= self.longest_window_s
            if self.step % train.log_every == 0 or ends_epoch or slow:
                yield from self._close_window()
            if self.step % self.preview_every == 0 or self.step == self.total_steps:
                yield self._preview()
            if ends_epoch:
                yield from self._validate(control)
            if ends_epoch or self.step % self.checkpoint_every == 0:
                yield from self._close_window()
                yield self._checkpoint(ends_epoch and not self.stopping)

    def _give_up(self, problem: str) -> Iterator[Event]:
        """Save what was reached before a step that may not count, and end the run."""
        yield from self._close_window()
        if self.step not in (0, self._saved):
            yield self._checkpoint(ends_epoch=False)
        raise UserError(
            f"Step {self.step + 1} was not taken: {problem}, training diverged. "
            f"{self._kept()} {INSTEAD}"
        )

    def _require_sound(self) -> None:
        """Nothing is shown, measured or saved of what is not finite.

        Raises:
            UserError: naming the step and the last save.
        """
        if self.players.broken():
            raise UserError(
                f"The weights are not finite at step {self.step}: training diverged. "
                f"{self._kept()} {INSTEAD}"
            )

    def _kept(self) -> str:
        if self._saved is None:
            return "Nothing had been saved yet."
        return f"The weights of step {self._saved} are saved."

    def _obey(self, control: Control) -> Iterator[Event]:
        """Do what was asked; while paused, wait here."""
        while True:
            for message in control():
                match message.command:
                    case "pause" | "resume":
                        self.paused = message.command == "pause"
                        if self.paused:
                            yield self._checkpoint(ends_epoch=False)
                        yield PauseChanged(*self._now(), self.paused)
                    case "stop":
                        self.stopping = True
                    case "save":
                        yield self._checkpoint(ends_epoch=False)
                    case "set":
                        yield from self._set(message)
                    case "refuse":
                        yield Noted(*self._now(), message.name)
            if not self.paused or self.stopping:
                return
            time.sleep(PAUSE_POLL_S)

    def _close_window(self) -> Iterator[Event]:
        if self._window.images:
            stepped = self._window.close(*self._now())
            self._window = Window()
            yield stepped

    def _set(self, message: Message) -> Iterator[Event]:
        """Take a value where the objective has such a control and its setting allows it."""
        controls = self.objective.controls(Context(self.step))
        try:
            if message.name not in controls:
                raise unknown("value to set", message.name, controls)
            entry = families[self.config.family]
            if message.name in entry.options.model_fields:
                asked = self.config.objective | {message.name: message.value}
                entry.parse_options(asked, "objective")
        except UserError as error:
            yield Noted(*self._now(), f"{message.name} = {message.value:g} was refused. {error}")
            return
        self.overrides = {**self.overrides, message.name: message.value}
        yield ValueSet(*self._now(), message.name, message.value)

    def _validate(self, control: Control) -> Iterator[Event]:
        """Measure on unseen images; what a stop cuts off here, resume begins with.

        Raises:
            UserError: when their loss is not finite; the weights, which are, are saved first.
        """
        self._require_sound()
        generator = torch.Generator(self.device).manual_seed(self.config.train.seed + 1)
        context = self.moment(generator)
        for found in measuring(self.model, self.objective, self.dataset.validation, context):
            if found is None:
                yield from self._obey(control)
                if self.stopping:
                    return
            elif math.isfinite(found.total):
                self._validated = self.step
                yield Validated(*self._now(), found)
            else:
                yield self._checkpoint(ends_epoch=False)
                raise UserError(
                    f"The loss of the validation images is {found.total:g} at step {self.step}, "
                    f"though that of the training images is finite. {self._kept()} {INSTEAD}"
                )

    def _prepare_previews(self) -> None:
        part, places = self.dataset.validation, hold_outs(self.dataset)
        images = part.images.gather(places)
        self._originals = as_floats(images, self.device)
        self._seen = self.objective.corrupted(self._originals, range(len(places)))
        labels = labels_at(part, places, self.device)
        self._shown = self.model if labels is None else self.model.given(labels)

    @torch.inference_mode()
    def _preview(self) -> Previewed:
        self._require_sound()
        self.model.eval()
        posterior = self._shown.encode(self._seen)
        # Drawn anew with the same noise: some models learn their prior as they go.
        generator = torch.Generator(self.device).manual_seed(PREVIEW_SEED)
        prior = self.model.sample_prior(len(self._originals), generator)
        zs = (posterior.mode(), prior)
        rebuilt, drawn = (self.model.picture(self._shown.decode(z)) for z in zs)
        kl = posterior.kl()
        self.model.train()
        per_dim = None if kl is None or not kl.isfinite().all() else kl.mean(0).tolist()
        corrupted = self._seen if self.objective.corrupts else None
        return Previewed(*self._now(), self._originals, corrupted, rebuilt, drawn, per_dim)

    def _checkpoint(self, ends_epoch: bool) -> Checkpoint:
        self._require_sound()
        self._saved = self.step
        return self.checkpoint(ends_epoch)

    def checkpoint(self, ends_epoch: bool = False) -> Checkpoint:
        """All that is needed to go on from this step."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "overrides": dict(self.overrides),
            "trained_with": dict(self._trained_with),
            "validated": self._validated,
            **self.players.state(),
        }
        return Checkpoint(*self._now(), self.model.state_dict(), state, ends_epoch)

    def _restore(self, state: Mapping[str, Any]) -> None:
        with fitting():
            self.players.restore(state)
            self.overrides = {name: float(value) for name, value in state["overrides"].items()}
            self._trained_with = dict(state.get("trained_with", self.overrides))
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self._validated = int(state.get("validated", self.step))
            if not 0 <= self.step <= self.total_steps:
                raise ValueError(f"it is of step {self.step} of {self.total_steps}")
        self._require_sound()
        self._saved = self.step

    def _context(self, generator: torch.Generator, labels: Tensor | None = None) -> Context:
        images = len(self.dataset.train)
        return Context(self.step, generator, self.overrides, labels, images, self.total_steps)

    def _now(self) -> tuple[int, int, float]:
        return self.step, math.ceil(self.step / self.steps_per_epoch), self.seconds
