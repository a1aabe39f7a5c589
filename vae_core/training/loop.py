"""The training loop: data, model, objective and a control channel in, events out.

It knows no file, no process and no page. Whoever iterates over `run` decides what becomes of the
events.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch

from vae_core.config import RunConfig
from vae_core.data import Dataset, hold_outs
from vae_core.data.batches import as_floats, epoch_batches, labels_at
from vae_core.data.images import drawn
from vae_core.errors import UserError, is_out_of_memory
from vae_core.imaging.resize import shown
from vae_core.metrics import measuring
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.progress import Progress, no_progress
from vae_core.training.averaging import modules_of
from vae_core.training.checkpoint import SaveSchedule, TimeBudget
from vae_core.training.compiled import compile_networks
from vae_core.training.control import Control, Message, no_control
from vae_core.training.distributed import ALONE, Distributed
from vae_core.training.events import (
    BestTaken,
    Ended,
    EpochSaved,
    Event,
    Noted,
    PauseChanged,
    Previewed,
    RolledBack,
    Skipped,
    Validated,
    ValueSet,
)
from vae_core.training.stability import ADVICE, Diverged
from vae_core.training.state import TrainState
from vae_core.training.window import MetricWindow, TakenStep

PREVIEWS_PER_RUN = 40
"""Fewer where they would take more of the time than a `TimeBudget` grants: a short training of a
large network spent a tenth of it on them."""
PREVIEW_SEED = 0
"""Of the samples' z: the same in all runs, whatever their seed, so that they can be compared."""
PAUSE_POLL_S = 0.05
UNDECIDED = {"cuda": 16}
"""Steps that a device may be ahead before it is asked whether they count; where nobody has to wait
for the answer, each is asked for at once."""
MAX_WINDOW_S = 0.4
"""A record comes at least this often: charts move twice a second, however slow the steps."""


class Loop(TrainState):
    """Training as an iterator of events, resumable at any step.

    Raises (on construction):
        UserError: when the batch is larger than the data, the state is that of another run, or
            nothing can be computed here in the precision that was asked for.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        model: LatentModel,
        objective: Objective,
        state: Mapping[str, Any] | None = None,
        last_save: Callable[[], Mapping[str, Any]] | None = None,
        load_best: Callable[[], None] | None = None,
        group: Distributed = ALONE,
    ) -> None:
        """`state` is that of a `Checkpoint` of the same configuration; it restores everything.

        `last_save` brings the newest one, for who has come to weights that cannot be gone on with;
        without it such a run ends. `load_best` gives model and objective the weights of the best
        validation that a save has taken along; without it these stay in memory where the run is to
        end with them. `group`: the processes that train together, each in a loop of its own over
        the same events; previews come from the first alone, which hears the messages.
        """
        super().__init__(config, dataset, model, objective, group)
        every = max(1, math.ceil(self.total_steps / PREVIEWS_PER_RUN))
        self.preview_every = config.train.preview_every or every
        self.saves = SaveSchedule(config.train.save_every_s, config.train.checkpoint_every)
        self.previewing = TimeBudget()
        self._last_save, self._load_best = last_save, load_best
        self.stopping = self.paused = False
        self.max_window_s = MAX_WINDOW_S
        self._window = MetricWindow()
        self._undecided: list[TakenStep] = []
        """The newest steps, of which nobody has asked the device yet whether they count."""
        self._shown, self._judged = self.players.shown
        self._measured = drawn(
            dataset.validation, config.train.validation_images, config.train.seed
        )
        self._prepare_previews()
        if state is not None:
            self.restore(state)
        self._kept_in_full = self.keep_layers_in_full()
        self._take_back: Callable[[], None] = lambda: None
        if config.train.compile:
            self._take_back = compile_networks(objective.networks(model), device=self.device)

    def run(
        self, control: Control = no_control, progress: Progress = no_progress
    ) -> Iterator[Event]:
        """Train to the end, or until `control` says stop. `progress` is called where images are
        copied to the device first.

        Raises:
            UserError: when training diverged for good, or a step needs more memory than there is.
        """
        self.model.train()
        self.objective.train()
        self._memory = self.check_memory()
        self.group.copy(self.players.tensors())
        if self.config.train.compile:
            yield from self._check_compiled()
        if self.resident:
            self.feed_from(resident=True, progress=progress)
        self.saves.reset()
        for said in (self._kept_in_full, self.seen_in_parts()):
            if said:
                yield Noted(*self.stamp(), said)
        events: Iterator[Event] | None = self._train(control)
        while events is not None:
            try:
                yield from events
                events = None
            except Diverged as problem:
                events = chain(self._roll_back(problem), self._train(control))
        yield Ended(*self.stamp(), finished=self.step >= self.total_steps)

    def _train(self, control: Control) -> Iterator[Event]:
        if self.step == 0:
            yield from self._preview()
        if self.step % self.steps_per_epoch == 0 and self.validated < self.step:
            yield from self._end_epoch(control)
        while self.step < self.total_steps and not self.stopping:
            yield from self._epoch(self.step // self.steps_per_epoch, control)

    def _check_compiled(self) -> Iterator[Event]:
        """A step that is not taken, compiled; where that fails, the run goes on without."""
        try:
            self.players.dry_run(*self.probe(self.at_once))
        except Exception as error:  # a compiler fails in more ways than torch names
            self._take_back()
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            message = f"The networks could not be compiled here and run as they are ({reason})."
            yield Noted(*self.stamp(), message)

    def _epoch(self, epoch: int, control: Control) -> Iterator[Event]:
        train = self.config.train
        batches = epoch_batches(self.dataset.train, train, epoch)
        first = self.step % self.steps_per_epoch
        left = batches[first:]
        self.feed.expect(left, first)
        for indices, following in zip(left, [*left[1:], None], strict=True):
            yield from self._handle_messages(control)
            if self.stopping:
                yield from self._save()
                return
            yield from self._step(indices, following)
            ends_epoch = self.step % self.steps_per_epoch == 0
            open_s = self._window.seconds + sum(each.seconds for each in self._undecided)
            slow, shows, saves = self.group.broadcast(  # by the clock of the first process
                [open_s >= self.max_window_s, self._shows_itself(), self.saves.due(self.step)]
            )
            if self.step % train.log_every == 0 or ends_epoch or slow:
                yield from self._close_window()
            if shows:
                yield from self._decide()
                yield from self._preview()
            if ends_epoch:
                yield from self._end_epoch(control)
            elif saves:
                yield from self._decide()
                if not self.recovery.skipped:
                    yield from self._save()

    def _step(self, indices: np.ndarray, following: np.ndarray | None = None) -> Iterator[Event]:
        """One step, which counts whether it was taken or skipped. A Diverged when it was skipped
        and was one too many, a UserError when memory is short."""
        start = time.perf_counter()
        try:
            x, context = self.batch(indices, following)
            sums, check = self.players.step(x, context, self.recovery.factor)
            rates = self.players.rates(sums.totals)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"{self._memory.shortage(len(indices))} {self.describe_save()}"
            ) from None
        self.step += 1
        seconds = time.perf_counter() - start
        self.seconds += seconds
        self._undecided.append(TakenStep(self.stamp(), check, sums, context, seconds, rates))
        if len(self._undecided) >= UNDECIDED.get(self.device.type, 1):
            yield from self._decide()

    def _decide(self) -> Iterator[Event]:
        """Ask the device which of the newest steps count, all at once. A Diverged when one was
        skipped that was one too many."""
        steps, self._undecided = self._undecided, []
        if not steps:
            return
        start = time.perf_counter()
        refused = torch.stack([each.check.refused for each in steps]).tolist()
        waited = time.perf_counter() - start  # a GPU does its queued work only now
        self.seconds += waited
        self._window.seconds += waited
        for each, skipped in zip(steps, refused, strict=True):
            if skipped:
                problem = each.check.problem()
                yield Skipped(*each.stamp, f"Step {each.stamp[0]} was not taken: {problem}.")
                self.recovery.step_skipped(problem)
                continue
            self.recovery.step_taken()
            self.trained_with = each.context.overrides
            self._window.add(each, self.objective.controls(each.context))

    def _end_epoch(self, control: Control) -> Iterator[Event]:
        """Measure and save; a run that was killed or stopped in here does it when it is resumed."""
        if self.group.broadcast(self.saves.overdue()):  # and measuring may take long
            yield from self._save()
        yield from self._validate(control)
        if self.out_of_patience and not self.stopping:
            self.ended_early = self.step < self.total_steps
            self.total_steps = self.step
        if self.stopping:
            yield from self._save()
            return
        if self.step == self.total_steps:
            yield from self._take_best()
        due = self.group.broadcast(self.saves.due(self.step, ends_epoch=True))
        due = due and not self.recovery.skipped
        if self.step == self.total_steps or due:
            yield from self._save()
            yield EpochSaved(*self.stamp())

    def _save(self) -> Iterator[Event]:
        """A save, and how long it takes."""
        yield from self._close_window()
        with self.saves.measure():
            self.require_finite()
            yield self.checkpoint()
        self.saved = self.step
        if self._load_best is not None or not self.patience:
            self.best.unsaved = None

    def _take_best(self) -> Iterator[Event]:
        """Where a better validation was waited for, the run ends with the weights of the best.

        What the optimisers have averaged stays that of the last step: who trains on needs some.
        """
        best = self.best.step
        if not self.patience or best is None or (best == self.step and not self.ended_early):
            return
        if self.best.unsaved is not None:
            self.players.load_modules(self.best.unsaved)
        elif self._load_best is not None:
            self._load_best()
        self.players.average_anew()
        epochs = [round(step / self.steps_per_epoch) for step in (self.step, best)]
        ended = "Ended early, at" if self.ended_early else "Ended at"
        message = (
            f"{ended} epoch {epochs[0]}: its weights are those of epoch {epochs[1]}, where the "
            "validation was best."
        )
        yield BestTaken(*self.stamp(), best, message, self.ended_early)
        yield from self._preview()

    def _roll_back(self, problem: Diverged) -> Iterator[Event]:
        """Begin again at the last save with half the learning rate; a UserError ends the run there
        when nobody keeps saves, or there have been enough returns."""
        if self._last_save is None:
            happened = f"At step {self.step} training diverged: {problem}."
            raise UserError(f"{happened} {self.describe_save()} {ADVICE}")
        recovery, from_step, overrides = self.recovery, self.step, self.overrides
        goes_on, state = recovery.roll_back(), self._last_save()
        self.restore(state)
        self.recovery, self._window, self._undecided = recovery, MetricWindow(), []
        state = {**state, "recovery": recovery.state_dict()}
        rate = self.config.train.learning_rate * recovery.factor
        message = recovery.describe(problem, from_step, self.step, rate, goes_on)
        yield RolledBack(*self.stamp(), from_step, message, state)
        for name, value in sorted(overrides.items() - self.overrides.items()):
            self.set(name, value)
            yield ValueSet(*self.stamp(), name, value)
        if self.step:
            yield from self._save()
        if not goes_on:
            raise UserError(message)

    def _handle_messages(self, control: Control) -> Iterator[Event]:
        """Do what was asked; while paused, wait here."""
        while True:
            for message in self._told(control):
                match message.command:
                    case "pause" | "resume":
                        self.paused = message.command == "pause"
                        if self.paused:
                            yield from self._save()
                        yield PauseChanged(*self.stamp(), self.paused)
                        self.saves.reset()
                    case "stop":
                        self.stopping = True
                    case "save":
                        yield from self._save()
                    case "set":
                        yield from self._set(message)
                    case "refuse":
                        yield Noted(*self.stamp(), message.name)
            if not self.paused or self.stopping:
                return
            time.sleep(PAUSE_POLL_S)

    def _told(self, control: Control) -> list[Message]:
        """The messages since the last look; those of the first process are for all, before the
        same step."""
        heard = [asdict(each) for each in control()] if self.group.is_main else []
        return [Message(**each) for each in self.group.broadcast(heard)]

    def _close_window(self) -> Iterator[Event]:
        yield from self._decide()
        if self._window.images:
            stepped = self._window.close(*self.stamp())
            self._window = MetricWindow()
            yield stepped

    def _set(self, message: Message) -> Iterator[Event]:
        """Take a value where the objective has such a control and its setting allows it."""
        try:
            self.set(message.name, message.value)
        except UserError as error:
            yield Noted(*self.stamp(), f"{message.name} = {message.value:g} was refused. {error}")
            return
        yield ValueSet(*self.stamp(), message.name, message.value)

    def _validate(self, control: Control) -> Iterator[Event]:
        """Measure on unseen images; what a stop cuts off here, resume begins with.

        Where their loss is not finite though the weights are, it is left out and training goes on.
        """
        self.require_finite()
        generator = torch.Generator(self.device).manual_seed(self.config.train.seed + 1)
        context = self.last_context(generator)
        models = self._shown, self._judged
        measured = measuring(*models, self._measured, context, group=self.group)
        for found in measured:
            if found is None:
                yield from self._handle_messages(control)
                if self.stopping:
                    return
                continue
            self.validated = self.step
            if math.isfinite(found.total):
                modules, final = modules_of(*models), self.final_controls()
                self.best.update(found, self.step, modules, final)
                yield Validated(*self.stamp(), found)
            else:
                message = (
                    f"The validation of step {self.step} was left out: its loss is {found.total:g}."
                )
                yield Skipped(*self.stamp(), message)

    def _prepare_previews(self) -> None:
        part, places = self.dataset.validation, hold_outs(self.dataset)
        images = part.images.gather(places)
        self._originals = as_floats(images, self.device)
        self._inputs = self._judged.corrupted(self._originals, range(len(places)))
        labels = labels_at(part, places, self.device)
        self._preview_model = self._shown if labels is None else self._shown.conditioned(labels)

    def _shows_itself(self) -> bool:
        """Whether a preview comes after this step: where one was asked for, at the end, and else
        as many as may be had for little time."""
        if self.step == self.total_steps:
            return True
        asked = self.config.train.preview_every is not None
        return self.step % self.preview_every == 0 and (asked or self.previewing.allows())

    def _preview(self) -> Iterator[Previewed]:
        """A preview, where it is recorded."""
        with self.previewing.measure():
            self.require_finite()
            preview = self._pictured() if self.group.is_main else None
        if preview is not None:
            yield preview

    @torch.inference_mode()
    def _pictured(self) -> Previewed:
        model = self._shown.eval()
        posterior = self._preview_model.encode(self._inputs)
        # Drawn anew with the same noise: some models learn their prior as they go.
        generator = torch.Generator(self.device).manual_seed(PREVIEW_SEED)
        prior = model.sample_prior(len(self._originals), generator)
        zs = (posterior.mode(), prior)
        reconstructions, samples = (model.picture(self._preview_model.decode(z)) for z in zs)
        kl = posterior.kl(model.prior())
        model.train()
        per_dim = None if kl is None or not kl.isfinite().all() else kl.mean(0).tolist()
        corrupted = self._inputs if self._judged.corrupts else None
        seen = partial(shown, channels=model.shown_channels)
        return Previewed(
            *self.stamp(),
            seen(self._originals),
            corrupted if corrupted is None else seen(corrupted),
            seen(reconstructions),
            seen(samples),
            per_dim,
        )
