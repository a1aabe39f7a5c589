"""Mean and variance of every latent dimension of every place."""

from __future__ import annotations

from torch import Tensor, nn

from vae_core.models.posteriors import GaussianPosterior


class SpatialGaussian(nn.Module):
    """Two 1×1 convolutions: what a place becomes depends on its own features alone."""

    def __init__(
        self,
        channels: int,
        latent_dim: int,
        logvar_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.mu = nn.Conv2d(channels, latent_dim, 1)
        self.logvar = nn.Conv2d(channels, latent_dim, 1)
        self.logvar_range = logvar_range

    def forward(self, maps: Tensor) -> GaussianPosterior:
        """maps [B, C, h, w] → N(mu, σ²) over [B, latent_dim, h, w]."""
        return GaussianPosterior(self.mu(maps), self.logvar(maps).clamp(*self.logvar_range))
