"""KID: the squared maximum mean discrepancy of features, without bias and without Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.metrics.quality.estimate import Estimate, estimate, resampled_counts
from vae_core.metrics.quality.manifold import blocks
from vae_core.progress import Progress, no_progress

SUBSETS, SUBSET = 100, 1000
"""So many subsets of so many images are what peers average over, and whose spread they tell."""


@dataclass(frozen=True)
class Subsets:
    """Mean and standard deviation of KID over `number` subsets of `size` images of each set."""

    mean: float
    deviation: float
    number: int
    size: int


def cubic_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """k(a, b) = (aᵀb / D + 1)³ of features [N, D] and [M, D]: [N, M].

    Source: Bińkowski et al., Demystifying MMD GANs (2018), section 4.
    """
    base: np.ndarray = a @ b.T / a.shape[1] + 1.0
    return base * base * base


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of MMD² of [N, D] and [M, D]; it may lie below 0.

    Source: Gretton et al., A Kernel Two-Sample Test (2012), lemma 6, equation 3.
    """
    n, m = len(x), len(y)
    xx, yy = cubic_kernel(x, x), cubic_kernel(y, y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * cubic_kernel(x, y).mean())


def over_subsets(
    x: np.ndarray,
    y: np.ndarray,
    number: int = SUBSETS,
    size: int = SUBSET,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Subsets:
    """KID by the protocol of its paper, for comparison with what others print; a subset is no
    larger than the smaller set."""
    size, random = min(size, len(x), len(y)), np.random.default_rng(seed)
    found = []
    for done in range(number):
        progress("Comparing subsets of the pictures for KID", done / number)
        chosen = (each[random.choice(len(each), size, replace=False)] for each in (x, y))
        found.append(squared_mmd(*chosen))
    return Subsets(float(np.mean(found)), float(np.std(found)), number, size)


def kernel_distance(
    real: np.ndarray, made: np.ndarray, progress: Progress = no_progress
) -> Estimate:
    """KID of all images at once, features [N, D] and [M, D], with its interval.

    In a draw with replacement an image would meet its own copies, whose kernel is that of the
    diagonal; such pairs are left out, as the diagonal is.
    """
    draws = resampled_counts(len(real), seed=1), resampled_counts(len(made), seed=2)
    real_counts, made_counts = (np.vstack([np.ones(each.shape[1]), each]) for each in draws)

    def part(share: float, of: float) -> Progress:
        return lambda message, done: progress(message, share + of * (done or 0.0))

    within = _within(real, real_counts, part(0, 0.3)) + _within(made, made_counts, part(0.3, 0.3))
    across = _sums(real, made, real_counts, made_counts, part(0.6, 0.4))
    values = within - 2 * across / (len(real) * len(made))
    return estimate(float(values[0]), values[1:])


def _within(x: np.ndarray, counts: np.ndarray, progress: Progress) -> np.ndarray:
    """The mean kernel of two different images of x [N, D] in each draw, counts [R, N]: [R]."""
    own = np.square(counts)
    diagonal = (np.square(x).sum(1) / x.shape[1] + 1.0) ** 3
    pairs = counts.sum(1) ** 2 - own.sum(1)
    sums: np.ndarray = (_sums(x, x, counts, counts, progress) - own @ diagonal) / pairs
    return sums


def _sums(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray, progress: Progress
) -> np.ndarray:
    """Σ_ij r_i c_j k(x_i, y_j) for each draw, rows [R, N] and columns [R, M]: [R]."""
    total = np.zeros(len(rows))
    for here in blocks(len(x), len(y), "Comparing every two pictures for KID", progress):
        total += ((rows[:, here] @ cubic_kernel(x[here], y)) * columns).sum(1)
    return total
