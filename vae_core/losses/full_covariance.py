"""The divergence of a Gaussian with any covariance."""

from __future__ import annotations

from torch import Tensor


def full_gaussian_kl(mu: Tensor, factor: Tensor) -> Tensor:
    """KL(N(μ, L·Lᵀ) ‖ N(0, I)), dimension by dimension in the order of the latents.

    Entry i is what dimension i adds once those before it are known, the expected
    KL(q(zᵢ | z₍<i₎) ‖ N(0, 1)). By the chain rule they add up to the whole:
    ½ (tr(L·Lᵀ) + μᵀμ − D) − Σ log Lᵢᵢ.

    Args:
        mu: means, [B, D].
        factor: L, lower triangular with a positive diagonal, [B, D, D].

    Returns:
        ½ (Σⱼ Lᵢⱼ² + μᵢ² − 1) − log Lᵢᵢ in nats, ≥ 0, [B, D].

    Source: Cover and Thomas, Elements of Information Theory (2006), theorem 2.5.3 (chain rule);
    given z₍<i₎, zᵢ is Gaussian with variance Lᵢᵢ² and a mean whose square is μᵢ² + Σ₍j<i₎ Lᵢⱼ² on
    average.
    """
    squares = factor.square().sum(2)
    diagonal = factor.diagonal(dim1=1, dim2=2)
    return 0.5 * (squares + mu.square() - 1.0) - diagonal.log()
