"""The variational autoencoder, and β-VAE with it: β = 1 is the VAE."""

from __future__ import annotations

from torch import Tensor

from vae_core.families.family import ELBO, families
from vae_core.families.networks import on_diagonal_gaussian, weight_setting
from vae_core.models import DensityPosterior, Likelihood, Output
from vae_core.objective import MODEL, Objective, P
from vae_core.schedules import SCHEDULES, ScheduleName
from vae_core.settings import Settings, setting
from vae_core.types import Context, Losses, Term


class VaeOptions(Settings):
    """The weight of the KL and how it comes on."""

    beta: float = weight_setting(
        1.0, "β", "Weight of the KL in nats; 1 is the ELBO, more buys order and costs sharpness."
    )
    schedule: ScheduleName = setting(
        "constant",
        "β schedule",
        "linear warms β up from 0; cyclical does so again and again.",
        more=True,
    )
    schedule_steps: int = setting(
        1000,
        "Schedule length",
        "Length of the warm-up, or of one cycle.",
        unit="steps",
        more=True,
        ge=1,
    )
    samples: int = setting(
        1,
        "Draws of z",
        "Draws averaged for each image; more calm the gradient and cost time.",
        more=True,
        ge=1,
        le=64,
    )


class BetaObjective(Objective[P]):
    """−log p(x|z) + β · `rate`, the first averaged over L draws of z; β by its schedule."""

    def __init__(self, likelihood: Likelihood, options: VaeOptions) -> None:
        super().__init__(likelihood, options)
        self.samples = options.samples
        self.beta = SCHEDULES[options.schedule](options.beta, options.schedule_steps)

    def controls(self, context: Context) -> dict[str, float]:
        return {"beta": context.overrides.get("beta", self.beta(context.step))}

    def losses(self, x: Tensor, output: Output[P], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        losses[MODEL]["kl"] = Term(self.rate(output, context), self.controls(context)["beta"])
        return losses

    def rate(self, output: Output[P], context: Context) -> Tensor:
        """KL(q(z|x) ‖ p(z)) in nats per image, [B]."""
        raise AssertionError("a variant says what its rate is")


class VaeObjective(BetaObjective[DensityPosterior]):
    """−log p(x|z) + β · KL(q(z|x) ‖ p(z)), the first averaged over L draws of z.

    Source: Kingma and Welling (2014), equation 7; the weight: Higgins et al., β-VAE (2017),
    equation 4.
    """

    def rate(self, output: Output[DensityPosterior], context: Context) -> Tensor:
        return output.posterior.kl().sum(1)


families.register(
    "vae",
    label="VAE",
    blurb="Codes become small clouds drawn towards one prior, so every point decodes.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right)",
    when="Start here: a smooth space to explore and to draw new images from.",
    paper="Kingma and Welling (2014), equation 3; β: Higgins et al. (2017), equation 4",
    order=10,
    terms=ELBO,
    options=VaeOptions,
)(on_diagonal_gaussian(VaeObjective))
