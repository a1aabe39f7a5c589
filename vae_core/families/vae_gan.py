"""VAE-GAN: pictures are compared by what a discriminator sees in them, not pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from vae_core.config import ModelConfig
from vae_core.families.adversary import (
    DISCRIMINATOR,
    AdversarialObjective,
    AdversaryOptions,
    lessons,
    of_discriminator,
)
from vae_core.families.family import KL, RECON, Built, Quantity, families
from vae_core.families.networks import SLOPE, diagonal_gaussian, weight_setting
from vae_core.losses.adversarial import deceiver_nll
from vae_core.models import DensityPosterior, LatentModel, Output
from vae_core.objective import MODEL
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import normal_like
from vae_core.types import Context, Losses, Term


class VaeGanOptions(AdversaryOptions):
    """What pictures are compared by, and how large the discriminator is."""

    beta: float = weight_setting(
        1.0, "β", "Weight of the KL in nats, against the features' nats; more buys order."
    )
    adversarial: float = weight_setting(
        1.0, "λ on the discriminator", "More makes pictures sharper, and less like their originals."
    )
    pixels: float = weight_setting(
        0.0, "α on pixels", "Weight of the pixels' own nats; 0 compares by features alone, as "
        "the paper does.", more=True,
    )  # fmt: skip
    discriminator_channels: int = setting(
        32, "Discriminator's channels", "Of its first stage; each further one has twice as many.",
        more=True, ge=1, le=512,
    )  # fmt: skip


class VaeGanObjective(AdversarialObjective[DensityPosterior]):
    """½‖D_l(x) − D_l(x̃)‖² + β · KL − λ · log D(x̃, x_p), and D, to which images alone are real.

    x̃ is decoded from a draw of q(z|x), x_p from one of p(z); D_l are the features of the
    discriminator's last stage. What deceives D moves the decoder alone, so that x̃ is decoded once
    more from a z through which no gradient flows back.

    Source: Larsen, Sønderby, Larochelle and Winther, Autoencoding beyond Pixels (2016), equations 6
    to 8 and algorithm 1. What concerns x̃ and x_p is a mean of both here, a sum there: its γ on the
    features is 2/λ, and to D images count as much as all that is false, not half of it.
    """

    options: VaeGanOptions

    def controls(self, context: Context) -> dict[str, float]:
        names = ("beta", "adversarial")
        return {name: context.overrides.get(name, getattr(self.options, name)) for name in names}

    def forward(
        self, model: LatentModel[DensityPosterior], x: Tensor, context: Context
    ) -> Output[DensityPosterior]:
        posterior = model.encode(x)
        z = posterior.sample(context.generator)
        drawn = normal_like(z, context.generator)
        x_logits, again, prior = model.decode(torch.cat([z, z.detach(), drawn])).chunk(3)
        return Output(posterior, z, x_logits, {"again": again, "prior": prior})

    def losses(self, x: Tensor, output: Output[DensityPosterior], context: Context) -> Losses:
        losses, weights = super().losses(x, output, context), self.controls(context)
        mask = 1.0 if context.mask is None else context.mask  # padding is no picture
        all_logits = (output.x_logits, output.extra["again"], output.extra["prior"])
        rebuilt, again, prior = (self.likelihood.mean(each) * mask for each in all_logits)
        seen, odds = self.discriminator(torch.cat([rebuilt, again, prior]))
        told, verdicts = self.discriminator(torch.cat([x * mask, again.detach(), prior.detach()]))
        distance = 0.5 * (seen.chunk(3)[0] - told.chunk(3)[0].detach()).square().sum(1)
        deceives = 0.5 * torch.stack([deceiver_nll(each) for each in odds.chunk(3)[1:]]).sum(0)
        recon = losses[MODEL]["recon"].value
        losses[MODEL] = {
            "recon": Term(recon, self.options.pixels),
            "features": Term(distance),
            "kl": Term(output.posterior.kl().sum(1), weights["beta"]),
            "adversarial": Term(deceives, weights["adversarial"]),
        }
        if not self.rests(context):
            real, *false = verdicts.chunk(3)
            both = [lessons(real, each) for each in false]
            losses[DISCRIMINATOR] = {
                name: Term(0.5 * (term.value + both[1][name].value), term.weight)
                for name, term in both[0].items()
            }
        return losses


SMALLEST = 4
"""Side of the maps at which the discriminator stops halving."""


class ImageDiscriminator(nn.Module):
    """Convolutions that halve, normalised within each image, and a logit at their end.

    Without learned scales after the normalisation, so that features keep the size of 1 and their
    squared distance that of nats.

    Source: Radford, Metz and Chintala, DCGAN (2016), section 3, normalised as by Wu and He, Group
    Normalization (2018): no image sees another.
    """

    def __init__(self, image_shape: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        colours, height, width = image_shape
        stages = max(1, (min(height, width) // SMALLEST).bit_length() - 1)
        widths = [colours, *(channels * 2**i for i in range(stages))]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(widths)):
            norm = [] if i == 0 else [nn.GroupNorm(1, b, affine=False)]
            layers += [nn.Conv2d(a, b, 5, 2, 2), *norm, nn.LeakyReLU(SLOPE)]
            height, width = -(-height // 2), -(-width // 2)
        self.stages = nn.Sequential(*layers)
        self.logit = nn.Linear(widths[-1] * height * width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [B, C, H, W] → features of the last stage [B, F], log-odds of being real [B]."""
        features = self.stages(x).flatten(1)
        return features, self.logit(features).squeeze(1)


@families.register(
    "vae-gan",
    label="VAE-GAN",
    blurb="A discriminator's features judge what is alike; sharper pictures, less exact ones.",
    formula=r"\tfrac{1}{2} \| D_l(x) - D_l(\tilde{x}) \|^2 + \alpha \left(-\log p(x \mid z)\right) "
    r"+ \beta\, D_{\mathrm{KL}}\!\left(q(z \mid x) \,\|\, p(z)\right) \\ {} - "
    r"\lambda \log D(\tilde{x}, x_p), \quad D \;\text{against it}",
    when="Blur matters more to you than pixels; watch the discriminator, and expect more epochs.",
    paper="Larsen et al. (2016), equations 6 to 8, algorithm 1",
    terms={
        "recon": replace(RECON, weight=r"\alpha", setting="pixels"),
        "features": Quantity(
            "Features' distance",
            help="½‖D(x) − D(x̃)‖² of the discriminator's features: −log N(D(x); D(x̃), I) but for "
            "a constant.",
        ),
        "kl": replace(KL, weight=r"\beta"),
        "adversarial": Quantity(
            "Deception",
            "nats per picture",
            r"\lambda",
            "−log D of pictures decoded: how surely they are found out.",
            "adversarial",
        ),
    }
    | of_discriminator("Images and decoded pictures told apart"),
    options=VaeGanOptions,
)
def vae_gan(config: ModelConfig, data: DataCard, options: VaeGanOptions) -> Built[DensityPosterior]:
    """Diagonal Gaussian posterior, and a discriminator of pictures."""
    model = diagonal_gaussian(config, data)
    discriminator = ImageDiscriminator(data.image_shape, options.discriminator_channels)
    return model, VaeGanObjective(model.likelihood, options, discriminator)
