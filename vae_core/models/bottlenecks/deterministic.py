"""A point for each image."""

from __future__ import annotations

from torch import Tensor, nn

from vae_core.models.posteriors import PointPosterior


class Deterministic(nn.Module):
    """z is a linear map of the features, passed through `activation` where there is one."""

    def __init__(self, features: int, latent_dim: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.z = nn.Linear(features, latent_dim)
        self.activation = activation or nn.Identity()

    def forward(self, features: Tensor) -> PointPosterior:
        """features [B, F] → codes [B, latent_dim]."""
        return PointPosterior(self.activation(self.z(features)))
