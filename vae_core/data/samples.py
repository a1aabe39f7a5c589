"""Which images of a set are shown, and how its labels are spread. The same ones every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vae_core.data.dataset import Dataset, ImageSet
from vae_core.units import grouped

MOST_HOLD_OUTS = 10


def sample_images(image_set: ImageSet, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """At most `n` images, taken evenly over the classes and evenly within each.

    Returns:
        (images uint8 [n, C, H, W], labels int64 [n] or None).
    """
    chosen = spread(image_set, n)
    labels = None if image_set.labels is None else image_set.labels[chosen]
    return image_set.images.gather(chosen), labels


def hold_outs(dataset: Dataset) -> np.ndarray:
    """The images that a run is watched on: indices [n ≤ 10] into `dataset.validation`.

    One of each class; of ten classes, evenly chosen, where there are more; more of each where
    there are fewer. Without labels ten images, evenly spaced.
    """
    return spread(dataset.validation, MOST_HOLD_OUTS)


def spread(image_set: ImageSet, n: int) -> np.ndarray:
    """At most `n` indices int64: classes take turns, each giving images evenly out of its own.

    Rows of as many images as there are classes thus show one class a column.
    """
    n = min(n, len(image_set))
    if image_set.labels is None:
        return _evenly(len(image_set), n)
    classes, counts = np.unique(image_set.labels, return_counts=True)
    groups = np.split(np.argsort(image_set.labels, kind="stable"), np.cumsum(counts)[:-1])
    if n < len(classes):
        groups = [groups[i] for i in _evenly(len(classes), n)]
    share = _shares(counts, n) if n >= len(classes) else [1] * n
    taken = [group[_evenly(len(group), k)] for group, k in zip(groups, share, strict=True)]
    turns = range(max(share, default=0))
    chosen = [group[turn] for turn in turns for group in taken if turn < len(group)]
    return np.array(chosen, np.int64)


def _shares(counts: np.ndarray, n: int) -> list[int]:
    """How many of `n` each class gives: as equal as its count [K] allows, the first ones first."""
    share = np.zeros_like(counts)
    while (missing := n - share.sum()) > 0:
        able = np.flatnonzero(share < counts)
        share[able[:missing]] += 1
    return [int(k) for k in share]


def label_counts(image_set: ImageSet, label_names: Sequence[str]) -> dict[str, int]:
    """How many images each label has, in the order of `label_names`; {} without labels."""
    if image_set.labels is None:
        return {}
    counts = np.bincount(image_set.labels, minlength=len(label_names))
    return {name: int(count) for name, count in zip(label_names, counts, strict=True)}


@dataclass(frozen=True)
class Skew:
    """The labels with the fewest and the most images, and how many these are."""

    rarest: str
    fewest: int
    commonest: str
    most: int

    @property
    def ratio(self) -> float:
        """How many images of the commonest label there are for one of the rarest."""
        return self.most / self.fewest

    def __str__(self) -> str:
        images = "1 image" if self.fewest == 1 else f"{grouped(self.fewest)} images"
        return f"{images} of “{self.rarest}”, {grouped(self.most)} of “{self.commonest}”"


def skew_of(counts: Mapping[str, int]) -> Skew | None:
    """How unevenly images are spread over labels, of which there is one image at least; None for
    fewer than two labels."""
    there = {name: count for name, count in counts.items() if count}
    if len(there) < 2:
        return None
    rarest, commonest = min(there, key=there.__getitem__), max(there, key=there.__getitem__)
    return Skew(rarest, there[rarest], commonest, there[commonest])


def _evenly(count: int, n: int) -> np.ndarray:
    """`n` of `count` indices, evenly spaced and centred: int64 [n]."""
    return ((np.arange(n) + 0.5) * count / max(n, 1)).astype(np.int64)
