"""Who is trained on whose terms, each with an optimiser, and one step of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.config import TrainConfig
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.schedules import DECAYS, Span
from vae_core.training.compiled import begin_step
from vae_core.training.optim import make_optimizer
from vae_core.training.precision import Precision, layers_of, refusing
from vae_core.training.stability import (
    BufferSnapshot,
    SpikeDetector,
    StepCheck,
    check_step,
    find_non_finite,
)
from vae_core.types import Context, LossTerms, total


class Players:
    """Model and objective with the optimisers and the random numbers that change them."""

    def __init__(
        self, train: TrainConfig, model: LatentModel, objective: Objective, span: Span
    ) -> None:
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

    def step(
        self, x: Tensor, context: Context, factor: float = 1.0
    ) -> tuple[dict[str, LossTerms], StepCheck]:
        """One optimiser step for every player that has terms; `factor` is what is left of the
        learning rate. Where its gradients leave the range of fp16 it is computed again at half the
        scale.

        The terms, for the record, and whether the step counts: where it was refused, weights,
        buffers and optimisers are as they were before. The device sees to that by itself, so that
        nobody waits for it but for fp16 and where spikes are looked for.
        """
        self._buffers.take()
        losses, totals, check = self._gradients(x, context)
        problem = check.problem() if self.precision.scales or self.spikes is not None else ""
        while problem and self.precision.back_off(totals.values()):
            self._buffers.restore(check.refused)
            losses, totals, check = self._gradients(x, context)
            problem = check.problem()
        if not problem and self.spikes is not None and (problem := self.spikes.check(totals)):
            check = check.spiking(problem)
        self._buffers.restore(check.refused)
        for player in losses:
            optimizer = self.optimizers[player]
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters[player], self.clip)
            optimizer.lr = self.learning_rates[player](context.step) * factor
            optimizer.step(found_inf=check.refused)
        if problem:
            self.precision.step_skipped()
        else:
            self.precision.step_taken()
        return losses, check

    def _gradients(
        self, x: Tensor, context: Context
    ) -> tuple[dict[str, LossTerms], dict[str, Tensor], StepCheck]:
        """As `backward`, of the losses as they are, and whether the step may count."""
        losses, totals = self.backward(x, context)
        self.precision.unscale(self.optimizers[player] for player in totals)
        return losses, totals, check_step(totals, self.parameters)

    def backward(
        self, x: Tensor, context: Context
    ) -> tuple[dict[str, LossTerms], dict[str, Tensor]]:
        """The terms of every player and what it minimises, scalars; their gradients, scaled in
        fp16, are left in the parameters."""
        if self.graphs:
            begin_step()
        with self.precision.computing():
            output = self.objective(self.model, x, context)
            losses = self.objective.losses(x, output, context)
        self._zero_grad()
        totals = {player: total(terms) for player, terms in losses.items()}
        last = len(totals) - 1
        for i, (player, loss) in enumerate(totals.items()):
            self.precision.scaled(loss).backward(
                inputs=self.parameters[player], retain_graph=i < last
            )
        return losses, totals

    def dry_run(self, x: Tensor, context: Context) -> None:
        """A step that is not taken, and leaves no trace in the random numbers either."""
        states = self.generator.get_state(), torch.get_rng_state()
        self._buffers.take()
        try:
            self.backward(x, context)
        finally:
            self._zero_grad()
            self._buffers.restore(torch.ones((), device=x.device))
            self.generator.set_state(states[0])
            torch.set_rng_state(states[1])

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
        return {
            "noise": self.generator.get_state(),
            "torch": torch.get_rng_state(),
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
        self.generator.set_state(state["noise"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        if self.spikes is not None:
            self.spikes.load_state_dict(state.get("spikes", {}))
        self.precision.load_state_dict(state.get("precision", {}))

    def load_modules(self, modules: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take other weights and buffers, as `modules` gives them."""
        self.model.load_state_dict(modules["model"])
        self.objective.load_state_dict(modules["objective"])

    def modules(self) -> dict[str, Any]:
        """The weights and buffers of model and objective, the very ones in use."""
        return {"model": self.model.state_dict(), "objective": self.objective.state_dict()}

    def _zero_grad(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def _optimizer_states(self) -> dict[str, Any]:
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
