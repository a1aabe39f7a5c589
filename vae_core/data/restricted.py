"""A data set with, or without, images that somebody chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import subset
from vae_core.data.split_record import whole_of
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError


def restricted(dataset: Dataset, chosen: np.ndarray, config: DataConfig) -> Dataset:
    """The images of `chosen` uint64 [M] alone, split anew; or all others, each in its part.

    Those chosen may come from one part, such as from the training images that a person looked at,
    so that a validation part is held out of them: an exact share of every label. What is left out
    is recorded as such, and never counts as new.

    Args:
        dataset: every image, whatever `config.limit` says, which is applied here.

    Raises:
        UserError: when images of `chosen` are not there, or too few are left to learn from.
    """
    whole = whole_of(list(dataset.parts.values()))
    missing = int(np.count_nonzero(~np.isin(chosen, whole.known_hashes)))
    if missing and config.selection_use == "only":
        of = f"{missing} of the {len(chosen)}" if missing < len(chosen) else f"All {missing}"
        raise UserError(
            f"{of} images of selection {config.selection!r} are not in the data set as it is set "
            "up here. Choose the data set, image size and channels of the run that they were "
            "selected in."
        )
    if config.selection_use == "only":
        pool = subset(whole, np.flatnonzero(np.isin(whole.known_hashes, chosen)))
        made = split_dataset(
            dataset.name, pool, None, config, fixed=True, label_names=dataset.label_names,
            factor_names=dataset.factor_names, notes=dataset.notes,
        )  # fmt: skip
    else:
        parts = {name: _without(part, chosen) for name, part in dataset.parts.items()}
        made = split_dataset(
            dataset.name, parts["train"], _some(parts.get("test")), config,
            validation=_some(parts["validation"]), fixed=dataset.fixed,
            label_names=dataset.label_names, factor_names=dataset.factor_names,
            notes=dataset.notes,
        )  # fmt: skip
    used = np.concatenate([part.known_hashes for part in made.parts.values()])
    left_out = np.setdiff1d(np.concatenate([whole.known_hashes, dataset.left_out]), used)
    count = sum(map(len, made.parts.values()))
    note = f"{count} of {len(whole)} images: {_said(config)} {config.selection!r}."
    resolved = dataset.resolved and dataset.resolved.model_copy(update={"limit": config.limit})
    return replace(
        made, notes=(*made.notes, note), fixed=dataset.fixed, left_out=left_out,
        resolved=resolved, choices=dataset.choices,
    )  # fmt: skip


def _without(part: ImageSet, chosen: np.ndarray) -> ImageSet:
    return subset(part, np.flatnonzero(~np.isin(part.known_hashes, chosen)))


def _some(part: ImageSet | None) -> ImageSet | None:
    return part if part is not None and len(part) else None


def _said(config: DataConfig) -> str:
    return "those of selection" if config.selection_use == "only" else "all but selection"
