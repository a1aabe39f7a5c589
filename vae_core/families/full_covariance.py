"""A VAE whose posterior may tilt: latents depend on each other within one image."""

from __future__ import annotations

from dataclasses import replace

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.family import KL, RECON, families
from vae_core.families.networks import latent_model
from vae_core.models import LatentModel
from vae_core.models.bottlenecks import FullCovariance
from vae_core.objectives.vae import VaeObjective, VaeOptions
from vae_core.runs import DataCard

MOST_DIMENSIONS = 128
"""Half a square of them is predicted for every image: 8128 numbers."""


def has_pairs(config: RunConfig, data: DataCard, options: VaeOptions) -> None:
    """Refuse latents that cannot correlate, or whose covariance would be too large."""
    if not 2 <= config.model.latent_dim <= MOST_DIMENSIONS:
        raise UserError(
            f"model.latent_dim: a full covariance takes 2 to {MOST_DIMENSIONS} dimensions "
            f"(it is {config.model.latent_dim}); take family vae for others."
        )


@families.family(
    "full-covariance",
    label="VAE, full covariance",
    blurb="The cloud of each image may tilt, so that fewer latents fall idle.",
    formula=r"-\log p(x \mid z) + \beta\, D_{\mathrm{KL}}\!\left("
    r"\mathcal{N}(\mu, L L^{\top}) \,\|\, \mathcal{N}(0, I)\right)",
    when="A plain VAE leaves latents unused and you suspect its diagonal covariance.",
    paper="Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1",
    terms={"recon": RECON, "kl": replace(KL, weight=r"\beta")},
    options=VaeOptions,
    check=has_pairs,
)
def full_covariance(
    config: ModelConfig, data: DataCard, options: VaeOptions
) -> tuple[LatentModel, VaeObjective]:
    """Gaussian with any covariance, evidence lower bound."""

    def bottleneck(features: int, latent_dim: int) -> FullCovariance:
        return FullCovariance(features, latent_dim, config.logvar_range)

    model = latent_model(config, data, bottleneck)
    return model, VaeObjective(model.likelihood, options)
