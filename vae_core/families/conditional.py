"""The conditional VAE."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig
from vae_core.families.family import KL, RECON, families
from vae_core.families.networks import gaussian_head, likelihood
from vae_core.models import backbones
from vae_core.models.backbones import Backbone
from vae_core.models.conditional import ConditionalModel
from vae_core.objectives.conditional import ConditionalObjective, ConditionalOptions
from vae_core.runs import DataCard


@families.family(
    "conditional-vae",
    label="Conditional VAE",
    blurb="Is told the label of each image, so that latents keep what labels do not say: style.",
    formula=r"-\log p(x \mid z, y) + \beta\, "
    r"D_{\mathrm{KL}}\!\left(q(z \mid x, y) \,\|\, p(z)\right)",
    when="Your images have labels and you want to draw any label in any style.",
    paper="Sohn et al. (2015), with p(z) = N(0, I)",
    terms={"recon": RECON, "kl": replace(KL, weight=r"\beta")},
    options=ConditionalOptions,
    needs_labels=True,
)
def conditional_vae(
    config: ModelConfig, data: DataCard, options: ConditionalOptions
) -> tuple[ConditionalModel, ConditionalObjective]:
    """Diagonal Gaussian posterior; labels to the encoder and the decoder."""
    labels = len(data.label_names)
    channels, height, width = data.image_shape
    entry = backbones[config.backbone]
    shape = entry.parse_options(config.options, "model.options")
    # A backbone mirrors itself, and here the two sides differ: take one half of each of two.
    inwards = entry.build((channels + labels, height, width), config.latent_dim, shape)
    outwards = entry.build(data.image_shape, config.latent_dim + labels, shape)
    backbone = Backbone(inwards.encoder, inwards.features, outwards.decoder)
    model = ConditionalModel(
        data.image_shape,
        (config.latent_dim,),
        backbone,
        gaussian_head(config)(backbone.features, config.latent_dim),
        likelihood(config, data),
        config.pixel_mean,
        config.pixel_std,
        labels=labels,
    )
    return model, ConditionalObjective(model.likelihood, options)
