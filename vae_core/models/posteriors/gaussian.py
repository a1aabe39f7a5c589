"""Independent Gaussians, one for each latent dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae_core.losses import gaussian_kl


def normal_like(like: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal noise of the shape, type and device of `like`."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


@dataclass(frozen=True)
class GaussianPosterior:
    """q(z|x) = N(mu, diag(exp(logvar))); mu and logvar [B, *latent_shape]."""

    mu: Tensor
    logvar: Tensor

    @property
    def aux(self) -> Mapping[str, Tensor]:
        return {"mu": self.mu, "logvar": self.logvar}

    def sample(self, generator: Generator | None = None) -> Tensor:
        """z = μ + σ·ε (Kingma and Welling 2014, section 2.4), [B, *latent_shape]."""
        return self.mu + (0.5 * self.logvar).exp() * normal_like(self.mu, generator)

    def mode(self) -> Tensor:
        """μ, [B, *latent_shape]."""
        return self.mu

    def kl(self) -> Tensor | None:
        """KL to N(0, I) of every dimension in nats, [B, D]."""
        return gaussian_kl(self.mu, self.logvar).flatten(1)
