"""Some images that stand for all: for a first look, and to watch while a model learns."""

from __future__ import annotations

import numpy as np

from vae_core.data.dataset import Dataset, ImageSet

HOLD_OUTS = 10


def hold_outs(dataset: Dataset) -> np.ndarray:
    """Validation images to watch: one per class, the first ten classes; the same in every run.

    Returns:
        int64 indices [n ≤ 10] into `dataset.validation`.
    """
    return spread(dataset.validation, HOLD_OUTS)


def spread(part: ImageSet, n: int) -> np.ndarray:
    """At most n indices, evenly over the classes in turn; evenly over the images without labels."""
    n = min(n, len(part))
    if part.labels is None:
        return np.linspace(0, len(part) - 1, n).astype(np.int64)
    by_class = np.argsort(part.labels, kind="stable")
    ordered = part.labels[by_class]
    starts = np.searchsorted(ordered, ordered)
    turn = np.arange(len(part)) - starts  # how many of the same class come before
    order = by_class[np.lexsort((ordered, turn))][:n]
    return order.astype(np.int64)


def sample_images(part: ImageSet, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """n images to show, evenly over the classes: uint8 [n, C, H, W] and their labels or None."""
    indices = spread(part, n)
    labels = None if part.labels is None else part.labels[indices]
    return part.images.gather(indices), labels


def label_counts(part: ImageSet, label_names: tuple[str, ...]) -> dict[str, int]:
    """Images of every class by name, in the order of the names; {} without labels."""
    if part.labels is None:
        return {}
    counts = np.bincount(part.labels, minlength=len(label_names))
    return {name: int(count) for name, count in zip(label_names, counts, strict=False)}
