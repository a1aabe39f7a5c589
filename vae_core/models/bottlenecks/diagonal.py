"""Mean and variance of every latent dimension."""

from __future__ import annotations

from torch import Tensor, nn

from vae_core.models.posteriors import GaussianPosterior


class DiagonalGaussian(nn.Module):
    """Two linear heads: the mean, and the scale as log σ² or as log σ."""

    def __init__(
        self,
        features: int,
        latent_dim: int,
        scale_head: str,
        logvar_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.scale = nn.Linear(features, latent_dim)
        self.logvar_per_scale = {"logvar": 1.0, "logsigma": 2.0}[scale_head]
        self.logvar_range = logvar_range

    def forward(self, features: Tensor) -> GaussianPosterior:
        """features [B, F] → N(mu, σ²) over [B, latent_dim]."""
        logvar = (self.logvar_per_scale * self.scale(features)).clamp(*self.logvar_range)
        return GaussianPosterior(self.mu(features), logvar)
