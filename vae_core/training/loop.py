"""The training loop: data, model, objective and a control channel in, events out.

It knows no file, no process and no page. Whoever iterates over `run` decides what becomes of the
events.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vae_core.config import RunConfig, TrainConfig
from vae_core.data import Dataset, hold_outs
from vae_core.data.batches import as_floats, check_batch_size, labels_at, shuffled
from vae_core.errors import UserError
from vae_core.metrics import measuring
from vae_core.models import LatentModel
from vae_core.objectives.objective import Objective
from vae_core.schedules import DECAYS, Span
from vae_core.training.adam import Adam
from vae_core.training.events import (
    Checkpoint,
    Control,
    Ended,
    Event,
    Message,
    PauseChanged,
    Previewed,
    Validated,
    ValueSet,
    no_control,
)
from vae_core.training.window import Window
from vae_core.types import Context, LossTerms, total

PREVIEWS_A_RUN = 40
PREVIEW_SEED = 0
"""Of the samples' z: the same in all runs, whatever their seed, so that they can be compared."""
PAUSE_POLL_S = 0.05
LONGEST_WINDOW_S = 0.4
"""A record comes at least this often: charts move twice a second, however slow the steps."""
OPTIMIZERS: dict[str, Callable[..., Adam]] = {
    "adam": Adam,
    "adamw": partial(Adam, decoupled=True),
}


class Loop:
    """Training as an iterator of events, resumable at any step.

    Raises (on construction):
        UserError: when the batch is larger than the data.
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
        self.preview_every = config.train.preview_every or max(
            1, math.ceil(self.total_steps / PREVIEWS_A_RUN)
        )
        self.checkpoint_every = config.train.checkpoint_every or self.steps_per_epoch
        self.players = objective.players(model)
        self.optimizers = {
            name: _optimizer(config.train, parameters, objective.optimizers.get(name, {}))
            for name, parameters in self.players.items()
        }
        span = Span(self.total_steps, self.steps_per_epoch, config.train.decay_factor)
        decay = DECAYS[config.train.decay]
        self.learning_rates = {name: decay(o.lr, span) for name, o in self.optimizers.items()}
        self.noise = torch.Generator(self.device).manual_seed(config.train.seed)
        self.overrides: dict[str, float] = {}
        self._waiting: list[Message] = []
        self.step, self.seconds = 0, 0.0
        self.stopping = self.paused = False
        self.longest_window_s = LONGEST_WINDOW_S
        self._window = Window()
        self._network = torch.compile(model) if config.train.compile else model
        self._prepare_previews()
        if state is not None:
            self._restore(state)

    def run(self, control: Control = no_control) -> Iterator[Event]:
        """Train to the end, or until `control` says stop."""
        self.model.train()
        self.objective.train()
        if self.step == 0:
            yield self._preview()
        while self.step < self.total_steps and not self.stopping:
            yield from self._epoch(self.step // self.steps_per_epoch, control)
        yield Ended(*self._now(), finished=self.step >= self.total_steps)

    def _epoch(self, epoch: int, control: Control) -> Iterator[Event]:
        train = self.config.train
        batches = shuffled(len(self.dataset.train), train.batch_size, train.seed, epoch)
        for indices in batches[self.step % self.steps_per_epoch :]:
            yield from self._obey(control)
            if self.stopping:
                yield from self._close_window()
                yield self._checkpoint(ends_epoch=False)
                return
            start = time.perf_counter()
            part = self.dataset.train
            labels = labels_at(part, indices, self.device)
            context = self._context(self.noise, labels)
            losses = self._step(as_floats(part.images.gather(indices), self.device), context)
            controls = self.objective.controls(context)
            self._window.add(losses, controls, len(indices), time.perf_counter() - start)
            self.seconds += time.perf_counter() - start
            self.step += 1
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
                yield self._checkpoint(ends_epoch)

    def _step(self, x: Tensor, context: Context) -> dict[str, LossTerms]:
        """One optimiser step for every player that has terms; the terms, for the record."""
        output = self.objective(self._network, x, context)
        losses = self.objective.losses(x, output, context)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        left = len(losses)
        for player, terms in losses.items():
            left -= 1
            total(terms).backward(inputs=self.players[player], retain_graph=left > 0)
        for player in losses:
            optimizer = self.optimizers[player]
            if self.config.train.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(
                    self.players[player], self.config.train.gradient_clip
                )
            optimizer.lr = self.learning_rates[player](self.step)
            optimizer.step()
        return losses

    def _obey(self, control: Control) -> Iterator[Event]:
        """Do what was asked; while paused, wait here."""
        while True:
            messages, self._waiting = [*self._waiting, *control()], []
            for message in messages:
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
            if not self.paused or self.stopping:
                return
            time.sleep(PAUSE_POLL_S)

    def _close_window(self) -> Iterator[Event]:
        if self._window.images:
            stepped = self._window.close(*self._now())
            self._window = Window()
            if not math.isfinite(stepped.total):
                raise UserError(
                    f"The loss is {stepped.total} at step {self.step}: training diverged. Lower "
                    "train.learning_rate or set train.gradient_clip; the last save is intact."
                )
            yield stepped

    def _set(self, message: Message) -> Iterator[Event]:
        if message.name in self.objective.controls(Context(self.step)):
            self.overrides[message.name] = message.value
            yield ValueSet(*self._now(), message.name, message.value)

    def _validate(self, control: Control) -> Iterator[Event]:
        """Measure on unseen images; values are taken between batches, other wishes wait."""
        generator = torch.Generator(self.device).manual_seed(self.config.train.seed + 1)
        # A value taken meanwhile counts from the next step on, not for half of the images.
        context = replace(self._context(generator), overrides=dict(self.overrides))
        for found in measuring(self.model, self.objective, self.dataset.validation, context):
            if found is not None:
                yield Validated(*self._now(), found)
                return
            for message in control():
                if message.command == "set":
                    yield from self._set(message)
                else:
                    self._waiting.append(message)

    def _prepare_previews(self) -> None:
        part, places = self.dataset.validation, hold_outs(self.dataset)
        images = part.images.gather(places)
        self._originals = as_floats(images, self.device)
        labels = labels_at(part, places, self.device)
        self._shown = self.model if labels is None else self.model.given(labels)

    @torch.inference_mode()
    def _preview(self) -> Previewed:
        self.model.eval()
        posterior = self._shown.encode(self._originals)
        # Drawn anew with the same noise: some models learn their prior as they go.
        generator = torch.Generator(self.device).manual_seed(PREVIEW_SEED)
        prior = self.model.sample_prior(len(self._originals), generator)
        pictures = [self.model.picture(self._shown.decode(z)) for z in (posterior.mode(), prior)]
        kl = posterior.kl()
        self.model.train()
        per_dim = None if kl is None else kl.mean(0).tolist()
        return Previewed(*self._now(), self._originals, pictures[0], pictures[1], per_dim)

    def _checkpoint(self, ends_epoch: bool) -> Checkpoint:
        modules = {"model": self.model, "objective": self.objective}
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "overrides": dict(self.overrides),
            "noise": self.noise.get_state(),
            "torch": torch.get_rng_state(),
            "optimizers": {name: opt.state_dict() for name, opt in self.optimizers.items()},
            "modules": {name: module.state_dict() for name, module in modules.items()},
        }
        return Checkpoint(*self._now(), self.model.state_dict(), state, ends_epoch)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["modules"]["model"])
        self.objective.load_state_dict(state["modules"]["objective"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.noise.set_state(state["noise"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        self.overrides = dict(state["overrides"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _context(self, generator: torch.Generator, labels: Tensor | None = None) -> Context:
        images = len(self.dataset.train)
        return Context(self.step, generator, self.overrides, labels, images, self.total_steps)

    def _now(self) -> tuple[int, int, float]:
        return self.step, math.ceil(self.step / self.steps_per_epoch), self.seconds


def _optimizer(
    train: TrainConfig, parameters: list[torch.nn.Parameter], own: Mapping[str, Any]
) -> Adam:
    """The optimiser of one player; `own` comes before what the configuration says."""
    settings = {
        "lr": train.learning_rate,
        "betas": train.adam_betas,
        "eps": train.adam_epsilon,
        "weight_decay": train.weight_decay,
    }
    return OPTIMIZERS[train.optimizer](parameters, **settings | dict(own))
