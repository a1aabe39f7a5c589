"""The adversarial autoencoder: a discriminator tells codes from draws of the prior."""

from __future__ import annotations

from torch import Tensor

from vae_core.config import ModelConfig
from vae_core.families.adversary import (
    DISCRIMINATOR,
    AdversarialObjective,
    AdversaryOptions,
    lessons,
    of_discriminator,
)
from vae_core.families.family import RECON, Built, Quantity, families
from vae_core.families.networks import critic_of_codes, latent_model, weight_setting
from vae_core.losses.adversarial import deceiver_nll
from vae_core.models import Deterministic, Output, PointPosterior
from vae_core.objective import MODEL
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import normal_like
from vae_core.types import Context, Losses, Term


class AaeOptions(AdversaryOptions):
    """How much the encoder minds the discriminator, and how large that is."""

    adversarial: float = weight_setting(
        10.0,
        "λ on the discriminator",
        "More makes codes as a whole look like the prior and costs sharpness.",
    )
    discriminator_units: int = setting(
        1000, "Discriminator's width", "Units of each of its hidden layers.", more=True, ge=1,
        le=8192,
    )  # fmt: skip
    discriminator_layers: int = setting(
        2, "Discriminator's hidden layers", "Its depth, without the logit.", more=True, ge=1, le=16
    )


class AaeObjective(AdversarialObjective[PointPosterior]):
    """−log p(x|z) − λ · log D(z), and the discriminator D, to which draws of p(z) are real.

    The encoder alone feels λ: the decoder is no part of D(z).

    Source: Makhzani, Shlens, Jaitly, Goodfellow and Frey, Adversarial Autoencoders (2016),
    section 2, with a deterministic encoder.
    """

    options: AaeOptions

    def controls(self, context: Context) -> dict[str, float]:
        return {"adversarial": context.overrides.get("adversarial", self.options.adversarial)}

    def losses(self, x: Tensor, output: Output[PointPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        deceives = deceiver_nll(self.discriminator(output.z).squeeze(1))
        losses[MODEL]["adversarial"] = Term(deceives, self.controls(context)["adversarial"])
        if not self.rests(context):
            z = output.z.detach()
            real, drawn = (
                self.discriminator(each).squeeze(1)
                for each in (normal_like(z, context.generator), z)
            )
            losses[DISCRIMINATOR] = lessons(real, drawn)
        return losses


@families.register(
    "aae",
    label="Adversarial autoencoder",
    blurb="A discriminator looks for codes that the prior would not draw, and the encoder yields.",
    formula=r"-\log p(x \mid z) - \lambda \log D(z), \\ {} "
    r"D \;\text{against it:}\; -\log D(z_p) - \log\!\left(1 - D(z)\right), \; z_p \sim p(z)",
    when="As WAE, with a judge that learns where codes and prior differ; watch its accuracy.",
    paper="Makhzani et al. (2016), section 2",
    terms={
        "recon": RECON,
        "adversarial": Quantity(
            "Deception",
            "nats per code",
            r"\lambda",
            "−log D(z): how surely codes are found out; log 2 = 0.69 where they are not.",
            "adversarial",
        ),
    }
    | of_discriminator("Codes and draws of the prior told apart"),
    options=AaeOptions,
)
def aae(config: ModelConfig, data: DataCard, options: AaeOptions) -> Built[PointPosterior]:
    """Deterministic code, a discriminator of codes, and N(0, I), which they have for a prior."""
    model = latent_model(config, data, Deterministic)
    units, layers = options.discriminator_units, options.discriminator_layers
    discriminator = critic_of_codes(config.latent_dim, units, layers)
    return model, AaeObjective(model.likelihood, options, discriminator)
