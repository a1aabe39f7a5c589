"""Batch normalisation over a batch that several processes share, on any device.

torch's own `SyncBatchNorm` is for GPUs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.shares import Share, spread

BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norms(modules: Iterable[nn.Module]) -> list[BatchNorm]:
    """Those in these modules that normalise by the statistics of a batch."""
    inner = (each for module in modules for each in module.modules())
    return [each for each in inner if isinstance(each, BatchNorm)]


def normalise_over_all(modules: Iterable[nn.Module]) -> None:
    """Let batch normalisation use the statistics of all processes, where a batch is spread over
    several; names, weights and running statistics stay what they are."""
    for norm in batch_norms(modules):
        norm.forward = partial(_forward, norm, norm.forward)  # type: ignore[method-assign]


def _forward(norm: BatchNorm, alone: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    share = spread()
    if share is None or not norm.training:
        return alone(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normalised: Tensor = _Standardise.apply(wide, norm, share)
    if norm.affine:
        weight, bias = (_by_channel(each, x) for each in (norm.weight, norm.bias))
        normalised = torch.addcmul(bias, normalised, weight)
    return normalised.to(x.dtype)


class _Standardise(torch.autograd.Function):
    """(x − mean) / deviation of every channel, over all places of all images that count, and the
    gradient that flows through both to the x of every process.

    Source: Ioffe and Szegedy, Batch Normalization (2015), algorithm 1 and section 3.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, norm: BatchNorm, share: Share) -> Tensor:
        axes, counts = _all_but_channels(x), float(share.counted > 0)
        sums = torch.cat([x.sum(axes), x.new_full((1,), x.numel() / x.shape[1])]) * counts
        share.group.reduce([sums])
        n = sums[-1]
        mean = sums[:-1] / n
        centred = x - _by_channel(mean, x)
        squares = centred.square().sum(axes) * counts
        share.group.reduce([squares])
        _follow(norm, mean, squares / (n - 1).clamp_min(1))
        deviation = (squares / n + norm.eps).sqrt()
        out = centred / _by_channel(deviation, x)
        context.save_for_backward(out, deviation, n)
        context.share = share
        return out

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), share = gradients, context.share
        out, deviation, n = context.saved_tensors
        if not share.counted:
            gradient = torch.zeros_like(gradient)
        axes = _all_but_channels(out)
        sums = torch.stack([gradient.sum(axes), (gradient * out).sum(axes)])
        share.group.reduce([sums])
        if not share.counted:
            return gradient, None, None
        mean, along = (_by_channel(each / n, out) for each in sums)
        return (gradient - mean - out * along) / _by_channel(deviation, out), None, None


def _follow(norm: BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics as torch does."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    newest = norm.momentum or 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, newest)
    norm.running_var.lerp_(variance, newest)


def _all_but_channels(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]


def _by_channel(each: Tensor, like: Tensor) -> Tensor:
    """One number a channel, [C], to meet `like` [B, C, …]."""
    return each.view(1, -1, *[1] * (like.ndim - 2))
