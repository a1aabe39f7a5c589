"""Independent Gaussians, one for each latent dimension."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from vae_core.losses.gaussian import gaussian_kl, gaussian_log_density
from vae_core.models.posterior import Bottleneck, DensityPosterior, normal_like


@dataclass(frozen=True)
class GaussianPosterior(DensityPosterior):
    """q(z|x) = N(mu, diag(exp(logvar))); mu and logvar [B, *latent_shape]."""

    mu: Tensor
    logvar: Tensor

    def sample(self, generator: Generator | None = None) -> Tensor:
        """z = μ + σ·ε (Kingma and Welling 2014, section 2.4), [B, *latent_shape]."""
        return self.mu + (0.5 * self.logvar).exp() * normal_like(self.mu, generator)

    def mode(self) -> Tensor:
        return self.mu

    def log_variance(self) -> Tensor:
        return self.logvar

    def log_prob(self, z: Tensor) -> Tensor:
        return gaussian_log_density(z, self.mu, self.logvar).flatten(2).sum(2)

    def standard_kl(self) -> Tensor:
        return gaussian_kl(self.mu, self.logvar).flatten(1)

    def standardised(self, mu: Tensor, logvar: Tensor) -> GaussianPosterior:
        return GaussianPosterior((self.mu - mu) * (-0.5 * logvar).exp(), self.logvar - logvar)


class DiagonalGaussian(Bottleneck[GaussianPosterior]):
    """Two linear heads: the mean, and the scale as log σ² or as log σ."""

    def __init__(
        self, features: int, latent_dim: int, scale_head: str, logvar_range: tuple[float, float]
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
