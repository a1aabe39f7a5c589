"""From the encoder's features to a posterior."""

from __future__ import annotations

from torch import Tensor, nn

from vae_core.models.posteriors import GaussianPosterior, PointPosterior

LOGVAR_RANGE = (-30.0, 20.0)
"""exp(½·logvar) stays between 3e-7 and 2e4: no overflow in σ or in the KL."""


class Deterministic(nn.Module):
    """z is a linear map of the features."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.z = nn.Linear(features, latent_dim)

    def forward(self, features: Tensor) -> PointPosterior:
        """features [B, F] → codes [B, latent_dim]."""
        return PointPosterior(self.z(features))


class DiagonalGaussian(nn.Module):
    """Two linear heads: the mean, and the scale as log σ² or as log σ."""

    def __init__(self, features: int, latent_dim: int, scale_head: str = "logvar") -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.scale = nn.Linear(features, latent_dim)
        self.logvar_per_scale = {"logvar": 1.0, "logsigma": 2.0}[scale_head]

    def forward(self, features: Tensor) -> GaussianPosterior:
        """features [B, F] → N(mu, σ²) over [B, latent_dim]."""
        logvar = (self.logvar_per_scale * self.scale(features)).clamp(*LOGVAR_RANGE)
        return GaussianPosterior(self.mu(features), logvar)
