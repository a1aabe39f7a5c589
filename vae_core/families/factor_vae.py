"""FactorVAE: a critic estimates the total correlation, which the model lowers."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, Built, Quantity, families, need_two_images
from vae_core.families.networks import critic_of_codes, diagonal_gaussian, weight_setting
from vae_core.losses.adversarial import discriminator_accuracy, discriminator_nll
from vae_core.models import DensityPosterior, LatentModel, Likelihood, Output
from vae_core.objective import MODEL, Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting
from vae_core.shares import at_hand, gathered, uniform_like
from vae_core.types import Context, Losses, Term

CRITIC = "critic"


class FactorOptions(Settings):
    """The weight of the total correlation, and the critic."""

    gamma: float = weight_setting(
        10.0,
        "γ on total correlation",
        "More makes dimensions independent of each other and costs some sharpness.",
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


class FactorObjective(Objective[DensityPosterior]):
    """−log p(x|z) + KL + γ · log D(z)/(1 − D(z)), and the critic D against the model.

    The critic learns from the same draws that the model is judged by.

    Source: Kim and Mnih, Disentangling by Factorising (2018), equations 2 and 3, algorithm 2.
    """

    def __init__(self, likelihood: Likelihood, options: FactorOptions, latent_dim: int) -> None:
        super().__init__(likelihood)
        self.gamma = options.gamma
        units, layers = options.critic_units, options.critic_layers
        self.critic = critic_of_codes(latent_dim, units, layers, logits=2)
        self.optimizers = {
            CRITIC: {"lr": options.critic_learning_rate, "betas": options.critic_adam_betas}
        }

    def controls(self, context: Context) -> dict[str, float]:
        return {"gamma": context.overrides.get("gamma", self.gamma)}

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(output.posterior.kl().sum(1))
        ratio = density_ratio(self.critic(output.z))
        losses[MODEL]["tc"] = Term(ratio, self.controls(context)["gamma"])

        z = output.z.detach()
        shuffled = permuted(z, context.generator)
        real, mixed = density_ratio(self.critic(z)), density_ratio(self.critic(shuffled))
        losses[CRITIC] = {
            "critic": Term(discriminator_nll(real, mixed)),
            "accuracy": Term(discriminator_accuracy(real, mixed).detach(), 0.0),
        }
        return losses

    def networks(self, model: LatentModel) -> list[nn.Module]:
        return [*super().networks(model), self.critic]

    def players(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        return super().players(model) | {CRITIC: list(self.critic.parameters())}


def permuted(z: Tensor, generator: Generator | None = None) -> Tensor:
    """Codes [B, D] with each dimension permuted across the batch by itself: draws of Π q(z_d).

    Source: Kim and Mnih, Disentangling by Factorising (2018), algorithm 1.
    """
    order = gathered(uniform_like(z, generator)).argsort(0)
    return at_hand(gathered(z).gather(0, order))


def density_ratio(logits: Tensor) -> Tensor:
    """log D/(1 − D) from the critic's two logits [B, 2], the first for codes as they are, [B].

    Its mean over codes is the estimate of the total correlation: Kim and Mnih (2018), equation 3.
    """
    return logits[:, 0] - logits[:, 1]


@families.register(
    "factor-vae",
    label="FactorVAE",
    blurb="A critic looks for dependence between dimensions, and the encoder removes it.",
    formula=r"-\log p(x \mid z) + D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) \\ {} + "
    r"\gamma\, D_{\mathrm{KL}}\!\left(q(z) \,\|\, \textstyle\prod_d q(z_d)\right)",
    when="As β-TCVAE, with an estimate that does not depend on the batch; it trains longer.",
    paper="Kim and Mnih (2018), equation 2",
    terms={
        "recon": RECON,
        "kl": KL,
        "tc": Quantity(
            "Total correlation", weight=r"\gamma", help="As the critic sees it, log D/(1 − D)."
        ),
        "critic": Quantity("Critic's loss", "nats per code", help="log 2 = 0.69 is guessing."),
        "accuracy": Quantity(
            "Critic's accuracy", "%", help="Codes it tells from shuffled ones; 50 is guessing."
        ),
    },
    options=FactorOptions,
    check=need_two_images,
)
def factor_vae(
    config: ModelConfig, data: DataCard, options: FactorOptions
) -> Built[DensityPosterior]:
    """Diagonal Gaussian posterior, and a critic of its codes."""
    model = diagonal_gaussian(config, data)
    return model, FactorObjective(model.likelihood, options, config.latent_dim)
