"""Negative log-likelihoods of images: −log p(x|z), summed over pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vae_core.losses.gaussian import gaussian_log_density


def bernoulli_nll(x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """−log Bernoulli(x; sigmoid(x_logits)), summed over pixels.

    Grey values in (0, 1) are taken as probabilities, so the minimum is their entropy, not 0.

    Args:
        x_logits: [B, C, H, W].
        x: pixels in [0, 1], [B, C, H, W].
        mask: [B, 1, H, W], 0 where a pixel does not count; None where all do.

    Returns:
        nats per image, [B].

    Source: Kingma and Welling (2014), appendix C.1.
    """
    losses = functional.binary_cross_entropy_with_logits(x_logits, x, reduction="none")
    return _counted(losses, mask).flatten(1).sum(1)


def gaussian_nll(
    mean: Tensor, x: Tensor, variance: Tensor | float, mask: Tensor | None = None
) -> Tensor:
    """−log N(x; mean, variance·I), summed over pixels, constants included.

    Args:
        mean: the decoder's picture, [B, C, H, W].
        x: pixels in [0, 1], [B, C, H, W].
        variance: σ² on the same scale, one for all pixels.
        mask: as of `bernoulli_nll`.

    Returns:
        nats per image, [B]; negative where the density exceeds 1.

    Source: Kingma and Welling (2014), appendix C.2.
    """
    logvar = torch.as_tensor(variance, dtype=x.dtype, device=x.device).log()
    return -_counted(gaussian_log_density(x, mean, logvar), mask).flatten(1).sum(1)


def optimal_variance(mean: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The σ² that maximises the Gaussian likelihood: the mean squared error of the pixels that
    count, a scalar.

    It is detached: at the optimum the gradient of the likelihood through σ² is zero.

    Source: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated
    Decoders (2021).
    """
    squares = (x - mean).detach().square()
    if mask is None:
        return squares.mean()
    return (squares * mask).sum() / (mask.sum() * squares.shape[1]).clamp_min(1)


def _counted(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask
