"""Maximum mean discrepancy: how far apart two samples are, without densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

KernelName = Literal["imq", "rbf"]


def inverse_multiquadratic(squared: Tensor, dims: int) -> Tensor:
    """C / (C + d²) with C = 2·D: Tolstikhin et al., Wasserstein Auto-Encoders (2018), section 4."""
    return 2 * dims / (2 * dims + squared)


def gaussian_kernel(squared: Tensor, dims: int) -> Tensor:
    """exp(−d² / 2D): wide enough to see as far as two draws from N(0, I) lie apart, d² ≈ 2D."""
    return torch.exp(-squared / (2 * dims))


KERNELS: dict[KernelName, Callable[[Tensor, int], Tensor]] = {
    "imq": inverse_multiquadratic,
    "rbf": gaussian_kernel,
}


def mmd(a: Tensor, b: Tensor, kernel: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Unbiased estimate of MMD² between two samples [B, D], the same for every row, [B].

    It is 0 in the mean where both come from one distribution, so it may be below 0; a sample of
    one row says nothing and gives 0.

    Source: Gretton et al., A Kernel Two-Sample Test (2012), equation 3.
    """
    rows, dims = a.shape
    if rows == 1:
        return (a - a).sum(1)
    within = _mean_of_pairs(kernel(_squared(a, a), dims)) + _mean_of_pairs(
        kernel(_squared(b, b), dims)
    )
    return (within - 2 * kernel(_squared(a, b), dims).mean()).expand(rows)


def _squared(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None] - b[None]).square().sum(2)


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean over pairs of different rows."""
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
