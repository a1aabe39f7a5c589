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


def bernoulli_nll(x_logits: Tensor, x: Tensor) -> Tensor:
    """−log Bernoulli(x; sigmoid(x_logits)) in nats per image, [B], of pixels x in [0, 1]; x and
    x_logits are [B, C, H, W].

    Grey values in (0, 1) are taken as probabilities, so the minimum is their entropy, not 0.

    Source: Kingma and Welling (2014), appendix C.1.
    """
    losses = functional.binary_cross_entropy_with_logits(x_logits, x, reduction="none")
    return losses.flatten(1).sum(1)


def gaussian_nll(mean: Tensor, x: Tensor, variance: Tensor | float) -> Tensor:
    """−log N(x; mean, variance·I) in nats per image, [B], constants included; negative where the
    density exceeds 1. x and mean, the decoder's picture, are [B, C, H, W].

    Source: Kingma and Welling (2014), appendix C.2.
    """
    logvar = torch.as_tensor(variance, dtype=x.dtype, device=x.device).log()
    return -gaussian_log_density(x, mean, logvar).flatten(1).sum(1)


def optimal_variance(mean: Tensor, x: Tensor) -> Tensor:
    """The σ² that maximises the Gaussian likelihood: the mean squared error, a scalar.

    It is detached: at the optimum the gradient of the likelihood through σ² is zero.

    Source: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated
    Decoders (2021).
    """
    return (x - mean).detach().square().mean()
