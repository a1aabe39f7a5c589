"""A VAE whose latents keep the layout of the image."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from vae_core.config import ModelConfig
from vae_core.families.family import ELBO, Built, families
from vae_core.families.networks import MapOptions, model_on_maps
from vae_core.families.vae import VaeObjective, VaeOptions
from vae_core.models import Bottleneck, DensityPosterior, GaussianPosterior
from vae_core.runs import DataCard


class SpatialGaussian(Bottleneck[GaussianPosterior]):
    """Two 1×1 convolutions: what a place becomes depends on its own features alone."""

    def __init__(self, channels: int, latent_dim: int, logvar_range: tuple[float, float]) -> None:
        super().__init__()
        self.mu = nn.Conv2d(channels, latent_dim, 1)
        self.logvar = nn.Conv2d(channels, latent_dim, 1)
        self.logvar_range = logvar_range

    def forward(self, maps: Tensor) -> GaussianPosterior:
        """maps [B, C, h, w] → N(mu, σ²) over [B, latent_dim, h, w]."""
        return GaussianPosterior(self.mu(maps), self.logvar(maps).clamp(*self.logvar_range))


class SpatialOptions(VaeOptions, MapOptions):
    """β, and where the latents lie."""


@families.register(
    "spatial-vae",
    label="VAE, spatial latents",
    blurb="Every place of a small map has its own latents; sharp, and easy to change locally.",
    formula=r"-\log p(x \mid z) + \beta\, \textstyle\sum_{i,j} "
    r"D_{\mathrm{KL}}\!\left(q(z_{ij} \mid x) \,\|\, p(z_{ij})\right)",
    when="You want fine detail, or latents for another model, and no single code of a picture.",
    paper="Kingma and Welling (2014), equation 3; on maps: Rombach et al. (2022), section 3.1",
    terms=ELBO,
    options=SpatialOptions,
)
def spatial_vae(
    config: ModelConfig, data: DataCard, options: SpatialOptions
) -> Built[DensityPosterior]:
    """Diagonal Gaussian for every place; `latent_dim` latents each."""
    latents = config.latent_dim
    head = partial(SpatialGaussian, latent_dim=latents, logvar_range=config.logvar_range)
    model = model_on_maps(config, data, options, latents, head)
    return model, VaeObjective(model.likelihood, options)
