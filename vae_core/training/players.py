"""Who is trained on whose terms, each with an optimiser, and one step of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vae_core.config import TrainConfig
from vae_core.models import LatentModel
from vae_core.models.batch_norm import normalise_over_all
from vae_core.objective import Objective
from vae_core.schedules import DECAYS, Span
from vae_core.shares import Share, shares_of, sharing
from vae_core.training.compiled import begin_step
from vae_core.training.distributed import ALONE, COMPRESSED, Distributed
from vae_core.training.optim import make_optimizer
from vae_core.training.precision import Precision, layers_of, refusing
from vae_core.training.stability import (
    BufferSnapshot,
    SpikeDetector,
    StepCheck,
    check_step,
    find_non_finite,
    named_tensors,
)
from vae_core.training.window import StepSums
from vae_core.types import Context, total


class Players:
    """Model and objective with the optimisers and the random numbers that change them.

    Each process of a group has all of it, and computes a share of every batch. Gradients, and what
    the terms come to, are added up over all of them and over the parts of a batch; so whatever is
    decided by them is decided alike by every process.
    """

    def __init__(
        self,
        train: TrainConfig,
        model: LatentModel,
        objective: Objective,
        span: Span,
        group: Distributed = ALONE,
    ) -> None:
        self.group, self.parts = group, train.accumulate
        self._travels_as = COMPRESSED[train.compress_gradients]
        if group.world > 1:
            normalise_over_all([model, objective])
        self.model, self.objective, self.clip = model, objective, train.gradient_clip
        self.graphs = train.compile and model.device.type == "cuda"
        """Whether networks may have been compiled to CUDA graphs, which are told of every step."""
        self.parameters = objective.players(model)
        self.optimizers = {
            name: make_optimizer(train, parameters, objective.optimizers.get(name, {}))
            for name, parameters in self.parameters.items()
        }
        decay = DECAYS[train.decay]
        self.learning_rates = {name: decay(o.lr, span) for name, o in self.optimizers.items()}
        self.generator = torch.Generator(model.device).manual_seed(train.seed)
        self.spikes = None if train.spike is None else SpikeDetector(train.spike)
        self._buffers = BufferSnapshot([model, objective])
        networks, layers = objective.networks(model), layers_of(model, objective)
        self.precision = Precision(train.precision, model.device, networks, layers)

    def step(self, x: Tensor, context: Context, factor: float = 1.0) -> tuple[StepSums, StepCheck]:
        """One optimiser step for every player that has terms, on the images at hand, see `shares`;
        `factor` is what is left of the learning rate. Where its gradients leave the range of fp16
        it is computed again at half the scale.

        What the terms come to, for the record, and whether the step counts: where it was refused,
        weights, buffers and optimisers are as they were before. The device sees to that by itself,
        so that nobody waits for it but for fp16 and where spikes are looked for.
        """
        self._buffers.take()
        sums, check = self._gradients(x, context)
        problem = check.problem() if self.precision.scales or self.spikes is not None else ""
        while problem and self.precision.back_off(sums.totals.values()):
            self._buffers.restore(check.refused)
            sums, check = self._gradients(x, context)
            problem = check.problem()
        if not problem and self.spikes is not None and (problem := self.spikes.check(sums.totals)):
            check = check.spiking(problem)
        self._buffers.restore(check.refused)
        for player in sums.totals:
            optimizer = self.optimizers[player]
            optimizer.lr = self.learning_rates[player](context.step) * factor
            optimizer.step(check.refused, self._excess(check.norms[player]))
        if problem:
            self.precision.step_skipped()
        else:
            self.precision.step_taken()
        return sums, check

    def _excess(self, norm: Tensor) -> Tensor | None:
        """How many times longer than allowed a gradient of this norm is, which it is divided by; at
        least 1. None where every length is allowed.

        Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks
        (2013), algorithm 1.
        """
        return None if self.clip is None else (norm / self.clip).clamp_min(1.0)

    def _gradients(self, x: Tensor, context: Context) -> tuple[StepSums, StepCheck]:
        """As `backward`, of the losses as they are, and whether the step may count."""
        sums = self.backward(x, context)
        self.precision.unscale(self.optimizers[player] for player in sums.totals)
        return sums, check_step(sums.totals, self.parameters)

    def shares(self, batch: int) -> list[Share | None]:
        """What of a batch of so many images this process computes, one after the other; [None] for
        all of them at once."""
        if not batch or (self.group.world == 1 and self.parts == 1):
            return [None]
        return [*shares_of(batch, self.group, self.parts)]

    def backward(self, x: Tensor, context: Context) -> StepSums:
        """What the terms of every player come to; the gradients of what each minimises, scaled in
        fp16, are left in the parameters. Every part of a batch has the noise of the whole."""
        self._zero_grad()
        shares = self.shares(context.batch)
        rows = [len(x) if each is None else each.rows for each in shares]
        labels, mask = (
            [None] * len(rows) if each is None else each.split(rows)
            for each in (context.labels, context.mask)
        )
        states = self._random_states() if len(rows) > 1 else None
        found: list[StepSums] = []
        for share, *seen in zip(shares, x.split(rows), labels, mask, strict=True):
            if found and states is not None:
                self._set_random_states(states)
            with sharing(share):
                found.append(
                    self._backward(seen[0], replace(context, labels=seen[1], mask=seen[2]))
                )
        sums = sum(found[1:], start=found[0])
        if context.batch and self.group.world > 1:
            weights = [each for player in sums.totals for each in self.parameters[player]]
            gradients = [each.grad for each in dict.fromkeys(weights) if each.grad is not None]
            self.group.reduce(gradients, self._travels_as)
            self.group.reduce(sums.tensors())
        return sums

    def _backward(self, x: Tensor, context: Context) -> StepSums:
        """As `backward`, for the images that are computed at once; gradients are added to those
        that are there."""
        if self.graphs:
            begin_step()
        with self.precision.computing():
            output = self.objective(self.model, x, context)
            losses = self.objective.losses(x, output, context)
        totals = {player: total(terms) for player, terms in losses.items()}
        last = len(totals) - 1
        for i, (player, loss) in enumerate(totals.items()):
            self.precision.scaled(loss).backward(
                inputs=self.parameters[player], retain_graph=i < last
            )
        return StepSums.of(losses, totals, context.batch or len(x))

    def dry_run(self, x: Tensor, context: Context) -> None:
        """A step that is not taken, and leaves no trace in the random numbers either."""
        states = self._random_states()
        self._buffers.take()
        try:
            self.backward(x, context)
        finally:
            self._zero_grad()
            self._buffers.restore(torch.ones((), device=x.device))
            self._set_random_states(states)

    def keep_layers_in_full(self, x: Tensor, context: Context) -> str:
        """Let layers that this machine cannot compute in the precision of this training stay in
        fp32: which these are and why, as a sentence; "" where there is nothing new to say.

        Raises:
            UserError: when it cannot be computed even so.
        """
        error = refusing(lambda: self.dry_run(x, context), self.precision)
        return "" if error is None else self.precision.describe(error)

    def find_non_finite(self) -> str:
        """The first tensor of modules and optimisers that holds a number which is none, or ""."""
        return find_non_finite({"modules": self.modules(), "optimizers": self._optimizer_states()})

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes; tensors are the very ones in use."""
        noise, global_noise = self._random_states()
        return {
            "noise": noise,
            "torch": global_noise,
            "optimizers": self._optimizer_states(),
            "modules": self.modules(),
            **({} if self.spikes is None else {"spikes": self.spikes.state_dict()}),
            "precision": self.precision.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; what does not belong here raises as torch and Python do."""
        self.load_modules(state["modules"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._set_random_states((state["noise"].cpu(), state["torch"].cpu()))
        if self.spikes is not None:
            self.spikes.load_state_dict(state.get("spikes", {}))
        self.precision.load_state_dict(state.get("precision", {}))

    def tensors(self) -> list[Tensor]:
        """All that a step changes on the device: weights, buffers, averages of optimisers."""
        state = {"modules": self.modules(), "optimizers": self._optimizer_states()}
        return [each for _, each in named_tensors(state, "")]

    def load_modules(self, modules: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take other weights and buffers, as `modules` gives them."""
        self.model.load_state_dict(modules["model"])
        self.objective.load_state_dict(modules["objective"])

    def modules(self) -> dict[str, Any]:
        """The weights and buffers of model and objective, the very ones in use."""
        return {"model": self.model.state_dict(), "objective": self.objective.state_dict()}

    def _random_states(self) -> tuple[Tensor, Tensor]:
        """Of the noise, and of torch's own generator."""
        return self.generator.get_state(), torch.get_rng_state()

    def _set_random_states(self, states: tuple[Tensor, Tensor]) -> None:
        self.generator.set_state(states[0])
        torch.set_rng_state(states[1])

    def _zero_grad(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def _optimizer_states(self) -> dict[str, Any]:
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
