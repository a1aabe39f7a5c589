"""Distances between distributions."""

from __future__ import annotations

from torch import Tensor


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of every dimension.

    Args:
        mu: means, [B, D].
        logvar: log σ², [B, D].

    Returns:
        ½ (μ² + σ² − 1 − log σ²) in nats, ≥ 0, [B, D].

    Source: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix B.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar)
