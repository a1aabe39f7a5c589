"""Total correlation by a critic that tells codes from codes shuffled in every dimension."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def permuted(z: Tensor, generator: Generator | None = None) -> Tensor:
    """Codes [B, D] with each dimension permuted across the batch by itself: draws of Π q(z_d).

    Source: Kim and Mnih, Disentangling by Factorising (2018), algorithm 1.
    """
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)


def density_ratio(logits: Tensor) -> Tensor:
    """log D/(1 − D) from the critic's two logits [B, 2], the first for codes as they are, [B].

    Its mean over codes is the estimate of the total correlation: Kim and Mnih (2018), equation 3.
    """
    return logits[:, 0] - logits[:, 1]


def critic_nll(real: Tensor, shuffled: Tensor) -> Tensor:
    """The critic's mean cross-entropy over one code and one shuffled code, nats, [B]."""
    return 0.5 * (_softplus(-density_ratio(real)) + _softplus(density_ratio(shuffled)))


def critic_accuracy(real: Tensor, shuffled: Tensor) -> Tensor:
    """Share of both told apart, in %; 50 is guessing, NaN where a logit is, [B]."""
    seen, mixed = density_ratio(real), density_ratio(shuffled)
    right = (seen > 0).float() + (mixed < 0).float()
    return torch.where(seen.isnan() | mixed.isnan(), torch.nan, 50.0 * right)


def _softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x)
