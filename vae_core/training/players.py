"""Who is trained on whose terms, each with an optimiser, and one step of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.config import TrainConfig
from vae_core.errors import UserError
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.schedules import DECAYS, Span
from vae_core.training.adam import Adam
from vae_core.training.soundness import Moment, Spikes, broken, verdict
from vae_core.types import Context, LossTerms, total

OPTIMIZERS: dict[str, Callable[..., Adam]] = {
    "adam": Adam,
    "adamw": partial(Adam, decoupled=True),
}


class Players:
    """Model and objective with the optimisers and the noise that change them."""

    def __init__(
        self, train: TrainConfig, model: LatentModel, objective: Objective, span: Span
    ) -> None:
        self.model, self.objective, self.clip = model, objective, train.gradient_clip
        self.weights = objective.players(model)
        self.optimizers = {
            name: _optimizer(train, weights, objective.optimizers.get(name, {}))
            for name, weights in self.weights.items()
        }
        decay = DECAYS[train.decay]
        self.learning_rates = {name: decay(o.lr, span) for name, o in self.optimizers.items()}
        self.noise = torch.Generator(model.device).manual_seed(train.seed)
        self.spikes = None if train.spike is None else Spikes(train.spike)
        self._moment = Moment([model, objective])

    def step(
        self, x: Tensor, context: Context, factor: float = 1.0
    ) -> tuple[dict[str, LossTerms], str]:
        """One optimiser step for every player that has terms.

        Args:
            factor: what is left of the learning rate.

        Returns:
            the terms, for the record, and why the step may not count: "" where it may, else
            weights, buffers and optimisers are as they were before.
        """
        self._moment.remember()
        losses, minimised = self.gradients(x, context)
        problem = verdict(minimised, self.weights)
        if not problem and self.spikes is not None:
            problem = self.spikes.judge(minimised)
        if problem:
            self._moment.restore()
            return losses, problem
        for player in losses:
            optimizer = self.optimizers[player]
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.weights[player], self.clip)
            optimizer.lr = self.learning_rates[player](context.step) * factor
            optimizer.step()
        return losses, ""

    def gradients(
        self, x: Tensor, context: Context
    ) -> tuple[dict[str, LossTerms], dict[str, Tensor]]:
        """The terms of every player and what it minimises, scalars; their gradients are left in
        the weights."""
        output = self.objective(self.model, x, context)
        losses = self.objective.losses(x, output, context)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        minimised = {player: total(terms) for player, terms in losses.items()}
        left = len(losses)
        for player, loss in minimised.items():
            left -= 1
            loss.backward(inputs=self.weights[player], retain_graph=left > 0)
        return losses, minimised

    def rehearse(self, x: Tensor, context: Context) -> None:
        """A step that is not taken, and leaves no trace in the noise either."""
        noise, random = self.noise.get_state(), torch.get_rng_state()
        self._moment.remember()
        self.gradients(x, context)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        self._moment.restore()
        self.noise.set_state(noise)
        torch.set_rng_state(random)

    def broken(self) -> str:
        """The first tensor of modules and optimisers that holds a number which is none, or ""."""
        return broken({"modules": self.modules(), "optimizers": self._optimizer_states()})

    def state(self) -> dict[str, Any]:
        """What `restore` takes; tensors are the very ones in use."""
        return {
            "noise": self.noise.get_state(),
            "torch": torch.get_rng_state(),
            "optimizers": self._optimizer_states(),
            "modules": self.modules(),
            **({} if self.spikes is None else {"spikes": self.spikes.state()}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; see `fitting` for what does not belong here."""
        self.model.load_state_dict(state["modules"]["model"])
        self.objective.load_state_dict(state["modules"]["objective"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.noise.set_state(state["noise"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        if self.spikes is not None:
            self.spikes.restore(state.get("spikes", {}))

    def modules(self) -> dict[str, Any]:
        """The weights and buffers of model and objective, the very ones in use."""
        return {"model": self.model.state_dict(), "objective": self.objective.state_dict()}

    def _optimizer_states(self) -> dict[str, Any]:
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}


@contextmanager
def fitting() -> Iterator[None]:
    """Say in one sentence that a state is not this run's, whatever it is that does not fit.

    Raises:
        UserError: in place of what torch and Python raise about it.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"The saved training state does not fit this run ({reason[:200]}); the run cannot be "
            "resumed exactly. Its weights can still be explored."
        ) from None


def _optimizer(train: TrainConfig, weights: Iterable[nn.Parameter], own: Mapping[str, Any]) -> Adam:
    """The optimiser of one player; `own` comes before what the configuration says."""
    settings = {
        "lr": train.learning_rate,
        "betas": train.adam_betas,
        "eps": train.adam_epsilon,
        "weight_decay": train.weight_decay,
    }
    return OPTIMIZERS[train.optimizer](list(weights), **settings | dict(own))
