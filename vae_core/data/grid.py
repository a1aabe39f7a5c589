"""Data sets that are drawn: every combination of known factors, as the places of a grid."""

from __future__ import annotations

from math import ceil

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import ImageSet
from vae_core.data.images import subset
from vae_core.data.splits import LEAST_FRACTION, validation_share
from vae_core.settings import is_open


def factors_at(indices: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """The step of every factor at places [N] of a grid: int64 [N, F]."""
    return np.stack(np.unravel_index(indices, grid), axis=1).astype(np.int64)


def drawn_evenly(whole: int, count: int) -> np.ndarray:
    """Places in a grid of `whole`, int64 [count] or all: one from each of as many stretches.

    Neither a fixed stride, which would resonate with the grid, nor by hash, which would draw all
    copies of an image and few others.
    """
    edges = np.arange(count + 1) * whole // count if count < whole else np.arange(whole + 1)
    return np.random.default_rng(0).integers(edges[:-1], edges[1:])


def limited(pool: ImageSet, config: DataConfig, classes: int) -> ImageSet:
    """So much of a whole grid that `split_dataset` leaves `limit` images of it to learn from: the
    held-out share stays what it is of the images in use."""
    if config.limit is None:
        return pool
    wanted = config.limit + classes / 2  # the share of each class is rounded
    share = config.validation_fraction
    if is_open(share):
        share = validation_share(config.limit)
    return subset(pool, drawn_evenly(len(pool), ceil(wanted / (1 - (share or LEAST_FRACTION)))))
