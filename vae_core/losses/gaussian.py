"""Densities and divergences of Gaussians, dimension by dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of every dimension from mu and logvar = log σ², [B, D] each:
    ½ (μ² + σ² − 1 − log σ²) in nats, ≥ 0, [B, D].

    Source: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix B.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar)


def gaussian_log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; μ, σ²) of every dimension in nats; the shapes of all three broadcast."""
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() / logvar.exp())


def standard_normal_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, 1) of every dimension in nats, of the shape of z."""
    zero = torch.zeros((), dtype=z.dtype, device=z.device)
    return gaussian_log_density(z, zero, zero)
