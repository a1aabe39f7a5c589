"""Which images are learned from and which are kept aside: the same ones in every run."""

from __future__ import annotations

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import part
from vae_core.errors import UserError

SPLIT_SEED = 0
"""Fixed, and not the run's seed, so that all runs on a data set can be compared."""

LEAST_FRACTION = 0.05
"""Held out when nothing else is there to measure on."""


def split(count: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw `fraction` of `count` images for validation, at least one, and leave at least one.

    Returns:
        (train, validation): int64 indices, each ascending; together every index once.

    Raises:
        UserError: when there are fewer than two images.
    """
    if count < 2:
        raise UserError(
            f"There {'is only one image' if count else 'are no images'}; at least 2 are needed, "
            "one to learn from and one to measure on. Add images."
        )
    held_out = min(max(1, round(count * fraction)), count - 1)
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def thin(indices: np.ndarray, limit: int | None) -> np.ndarray:
    """At most `limit` of `indices` [N], drawn evenly: one at random from each of `limit` stretches.

    Neither a fixed stride (it would resonate with ordered files) nor pure chance (it would leave
    gaps); ascending where `indices` is.
    """
    if limit is None or limit >= len(indices):
        return indices
    edges = np.arange(limit + 1) * len(indices) // limit
    return indices[np.random.default_rng(SPLIT_SEED).integers(edges[:-1], edges[1:])]


def assemble(
    name: str,
    pool: ImageSet,
    test: ImageSet | None,
    config: DataConfig,
    *,
    label_names: tuple[str, ...] = (),
    factor_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Split the training images `pool` as `config` asks; `test` is the source's own test part.

    A validation share of 0 measures on `test`; where there is none, 5 % are held out all the same.

    Raises:
        UserError: when `pool` is too small to be split.
    """
    if config.validation_fraction == 0 and test is not None:
        return Dataset(
            name,
            part(pool, thin(np.arange(len(pool)), config.limit)),
            test,
            test,
            label_names,
            factor_names,
            notes,
        )
    fraction = config.validation_fraction
    if fraction == 0:
        fraction = LEAST_FRACTION
        notes += ("There are no test images, so 5 % of the images are held out to measure on.",)
    train, validation = split(len(pool), fraction)
    return Dataset(
        name,
        part(pool, thin(train, config.limit)),
        part(pool, validation),
        test,
        label_names,
        factor_names,
        notes,
    )
