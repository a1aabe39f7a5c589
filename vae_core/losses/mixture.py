"""The density of a mixture of Gaussians."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vae_core.losses.density import gaussian_log_density


def mixture_log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log 1/K Σₖ N(z; μₖ, σₖ²) in nats, [B].

    Args:
        z: points, [B, D].
        mu, logvar: of K components that weigh the same, [K, D].

    Source: Tomczak and Welling, VAE with a VampPrior (2018).
    """
    each = gaussian_log_density(z[:, None], mu, logvar).sum(2)
    return torch.logsumexp(each, 1) - math.log(len(mu))
