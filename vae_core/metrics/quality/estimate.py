"""A figure with the interval that another draw of images would leave it in."""

from __future__ import annotations

import math

import numpy as np

from vae_core.metrics.wilson import DEVIATIONS, wilson
from vae_core.runs.schemas import Number, Stored

RESAMPLES = 200
"""Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 6.4: 50 to 200 draws tell
a standard error."""


class Estimate(Stored):
    """A figure and its interval at `LEVEL`; `bias` is how much too high the bootstrap takes the
    figure to be for the number of images, where it is known to have one."""

    value: Number
    low: Number
    high: Number
    bias: Number = None


def resampled_counts(n: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each of n images is in each of so many draws with replacement: float64 [R, n]."""
    random = np.random.default_rng(seed)
    places = random.integers(0, n, (resamples, n))
    places += n * np.arange(resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=resamples * n)
    return counts.reshape(resamples, n).astype(np.float64)


def estimate(
    value: float, resampled: np.ndarray, least: float = -math.inf, biased: bool = False
) -> Estimate:
    """The normal interval about `value`, as wide as the values [R] of the resamples vary.

    About the value and not about the resamples: a draw with replacement holds fewer different
    images, and a distance that falls with their number comes out too high by about as much again.
    That difference is the bootstrap's estimate of the bias, told beside where `biased`.

    Source: Efron and Tibshirani (1993), chapters 10 and 12.
    """
    error = DEVIATIONS * float(np.std(resampled, ddof=1))
    bias = float(np.mean(resampled)) - value if biased else None
    return Estimate(value=value, low=max(least, value - error), high=value + error, bias=bias)


def proportion(hits: np.ndarray) -> Estimate:
    """The share of images that hit, bool [N], with Wilson's interval: a bootstrap of a share that
    is 0 or 1 has no width, however few the images."""
    low, high = wilson(int(hits.sum()), len(hits))
    return Estimate(value=float(hits.mean()), low=low, high=high)
