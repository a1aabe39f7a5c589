"""What a discriminator is taught, and how well it tells: of its log-odds that something is real."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def discriminator_nll(real: Tensor, drawn: Tensor) -> Tensor:
    """Its mean cross-entropy over one that is real and one that is not, nats, [B]; log 2 = 0.69 is
    guessing. Both are log-odds log D/(1 − D), [B].

    Source: Goodfellow et al., Generative Adversarial Nets (2014), equation 1.
    """
    return 0.5 * (softplus(-real) + softplus(drawn))


def discriminator_accuracy(real: Tensor, drawn: Tensor) -> Tensor:
    """Share of both told apart, in %; 50 is guessing, NaN where a log-odd is, [B]."""
    right = (real > 0).float() + (drawn < 0).float()
    return torch.where(real.isnan() | drawn.isnan(), torch.nan, 50.0 * right)


def deceiver_nll(drawn: Tensor) -> Tensor:
    """−log D of what shall pass for real, nats, [B]: the form whose gradient does not vanish while
    the discriminator is sure.

    Source: Goodfellow et al. (2014), section 3.
    """
    return softplus(-drawn)
