"""Pure functions that several variants or metrics share: tensors in, nats out, one value for each
image (or each image and dimension). A loss that one variant alone uses lies in its file."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


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


def bernoulli_nll(x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """−log Bernoulli(x; sigmoid(x_logits)) in nats per image, [B], of pixels x in [0, 1]; x and
    x_logits are [B, C, H, W]; of the mask [B, 1, H, W] see `Context`.

    Grey values in (0, 1) are taken as probabilities, so the minimum is their entropy, not 0.

    Source: Kingma and Welling (2014), appendix C.1.
    """
    losses = functional.binary_cross_entropy_with_logits(x_logits, x, reduction="none")
    return summed(losses, mask)


def gaussian_nll(
    mean: Tensor, x: Tensor, variance: Tensor | float, mask: Tensor | None = None
) -> Tensor:
    """−log N(x; mean, variance·I) in nats per image, [B], constants included; negative where the
    density exceeds 1. x and mean, the decoder's picture, are [B, C, H, W], the mask as
    of `bernoulli_nll`.

    Source: Kingma and Welling (2014), appendix C.2.
    """
    if not isinstance(variance, Tensor):  # filled in on the device, which nobody waits for
        variance = torch.full((), variance, dtype=x.dtype, device=x.device)
    variance = variance.to(x)
    # One pass over the pixels for the squares: the rest is the same for all that count.
    squares = _counted(functional.mse_loss(mean, x, reduction="none"), mask).flatten(1).sum(1)
    values = x[0].numel() if mask is None else mask.flatten(1).sum(1) * x.shape[1]
    return 0.5 * (squares / variance + values * (math.log(2 * math.pi) + variance.log()))


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


def summed(nats: Tensor, mask: Tensor | None = None) -> Tensor:
    """Nats of every value, [B, C or 1, H, W], as nats per image, [B], of those that the mask
    [B, 1, H, W] counts."""
    return _counted(nats, mask).flatten(1).sum(1)


def _counted(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask
