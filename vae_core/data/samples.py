"""Which images of a set are shown, and how its labels are spread. The same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vae_core.data.dataset import Dataset, ImageSet

MOST_HOLD_OUTS = 10


def sample_images(image_set: ImageSet, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """At most `n` images, taken evenly over the classes and evenly within each.

    Classes take turns, so that rows of as many images as there are classes show one a column.

    Returns:
        (images uint8 [n, C, H, W], labels int64 [n] or None).
    """
    n = min(n, len(image_set))
    if image_set.labels is None:
        chosen = _spread(len(image_set), n)
    else:
        order = np.argsort(image_set.labels, kind="stable")
        counts = np.unique(image_set.labels, return_counts=True)[1]
        members = [  # of each class, spread over it, as many as could be asked for
            group[_spread(len(group), min(len(group), -(-n // len(counts))))]
            for group in np.split(order, np.cumsum(counts)[:-1])
        ]
        turns = [group[turn] for turn in range(n) for group in members if turn < len(group)]
        rest = np.setdiff1d(order, turns)  # small classes leave room for the others
        chosen = np.array([*turns, *rest[_spread(len(rest), max(0, n - len(turns)))]][:n], np.int64)
    labels = None if image_set.labels is None else image_set.labels[chosen]
    return image_set.images.gather(chosen), labels


def hold_outs(dataset: Dataset) -> np.ndarray:
    """The images that a run is watched on: indices [n ≤ 10] into `dataset.validation`.

    One of each class, from the middle of its images; of ten classes, evenly chosen, where there
    are more. Without labels ten images, evenly spaced.
    """
    labels = dataset.validation.labels
    if labels is None:
        return _spread(len(dataset.validation), min(MOST_HOLD_OUTS, len(dataset.validation)))
    classes = np.unique(labels)
    shown = classes[_spread(len(classes), min(MOST_HOLD_OUTS, len(classes)))]
    members = [np.flatnonzero(labels == label) for label in shown]
    return np.array([group[len(group) // 2] for group in members], np.int64)


def label_counts(image_set: ImageSet, label_names: Sequence[str]) -> dict[str, int]:
    """How many images each label has, in the order of `label_names`; {} without labels."""
    if image_set.labels is None:
        return {}
    counts = np.bincount(image_set.labels, minlength=len(label_names))
    return {name: int(count) for name, count in zip(label_names, counts, strict=True)}


def _spread(count: int, n: int) -> np.ndarray:
    """`n` of `count` indices, evenly spaced and centred: int64 [n]."""
    return ((np.arange(n) + 0.5) * count / max(n, 1)).astype(np.int64)
