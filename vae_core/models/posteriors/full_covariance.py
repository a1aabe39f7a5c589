"""A Gaussian whose dimensions may depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Generator, Tensor

from vae_core.losses.full_covariance import full_gaussian_kl
from vae_core.models.posteriors.gaussian import normal_like


@dataclass(frozen=True)
class FullCovariancePosterior:
    """q(z|x) = N(mu, L·Lᵀ); mu [B, D], factor L [B, D, D], lower triangular."""

    mu: Tensor
    factor: Tensor

    @property
    def aux(self) -> Mapping[str, Tensor]:
        """`logvar` is that of each dimension by itself; the factor knows how they depend."""
        marginal = self.factor.square().sum(2).log()
        return {"mu": self.mu, "logvar": marginal, "factor": self.factor}

    def sample(self, generator: Generator | None = None) -> Tensor:
        """z = μ + L·ε (Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1)."""
        noise = normal_like(self.mu, generator)
        return self.mu + (self.factor @ noise.unsqueeze(2)).squeeze(2)

    def mode(self) -> Tensor:
        """μ, [B, D]."""
        return self.mu

    def kl(self) -> Tensor:
        """KL to N(0, I) in nats, [B, D]: entry i is what dimension i adds to those before it."""
        return full_gaussian_kl(self.mu, self.factor)
