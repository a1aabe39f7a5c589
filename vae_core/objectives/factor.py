"""FactorVAE: a critic estimates the total correlation, which the model lowers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from vae_core.losses.critic import critic_accuracy, critic_nll, density_ratio, permuted
from vae_core.models.likelihoods import Likelihood
from vae_core.objectives.objective import MODEL, Objective
from vae_core.objectives.vae import rate
from vae_core.settings import Settings, setting
from vae_core.types import Context, LossTerms, Output, Term

CRITIC = "critic"
SLOPE = 0.2  # of the leaky ReLUs: Kim and Mnih (2018), appendix A


class FactorOptions(Settings):
    """The weight of the total correlation, and the critic."""

    gamma: float = setting(
        10.0,
        "γ on total correlation",
        "More makes dimensions independent of each other and costs some sharpness.",
        ge=0,
        le=1e6,
    )
    critic_units: int = setting(
        1000, "Critic's width", "Units of each of its hidden layers.", more=True, ge=1, le=8192
    )
    critic_layers: int = setting(
        5, "Critic's hidden layers", "Its depth, without the layer of logits.", more=True, ge=1,
        le=16,
    )  # fmt: skip
    critic_learning_rate: float = setting(
        1e-4, "Critic's learning rate", "Size of its steps.", more=True, gt=0, le=10
    )
    critic_adam_betas: tuple[float, float] = setting(
        (0.5, 0.9), "Critic's Adam betas", "How long its running averages remember.", more=True
    )


class FactorObjective(Objective):
    """−log p(x|z) + KL + γ · log D(z)/(1 − D(z)), and the critic D against the model.

    The critic learns from the same draws that the model is judged by.

    Source: Kim and Mnih, Disentangling by Factorising (2018), equations 2 and 3, algorithm 2.
    """

    def __init__(self, likelihood: Likelihood, options: FactorOptions, latent_dim: int) -> None:
        super().__init__(likelihood)
        self.gamma = options.gamma
        self.critic = _critic(latent_dim, options.critic_units, options.critic_layers)
        self.optimizers = {
            CRITIC: {"lr": options.critic_learning_rate, "betas": options.critic_adam_betas}
        }

    def controls(self, context: Context) -> dict[str, float]:
        return {"gamma": context.overrides.get("gamma", self.gamma)}

    def losses(self, x: Tensor, output: Output, context: Context) -> dict[str, LossTerms]:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(rate(output.posterior))
        ratio = density_ratio(self.critic(output.z))
        losses[MODEL]["tc"] = Term(ratio, self.controls(context)["gamma"])

        z = output.z.detach()
        real, shuffled = self.critic(z), self.critic(permuted(z, context.generator))
        losses[CRITIC] = {
            "critic": Term(critic_nll(real, shuffled)),
            "accuracy": Term(critic_accuracy(real, shuffled).detach(), 0.0),
        }
        return losses

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        return super().players(model) | {CRITIC: list(self.critic.parameters())}


def _critic(inputs: int, units: int, layers: int) -> nn.Sequential:
    """Codes [B, inputs] → two logits [B, 2]: a code as it is, a shuffled one."""
    widths = [inputs] + [units] * layers
    hidden: list[Any] = []
    for a, b in pairwise(widths):
        hidden += [nn.Linear(a, b), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 2))
