"""What is rare in a collection: images far from all others, small groups, labels of few images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.latent.clusters import Clusters
from vae_core.latent.survey import Survey
from vae_core.units import grouped

LONELY = 3.0
"""So many times as far from its neighbours as usual is far."""

FEW = 0.2
"""A label or a group with less than this share of what each would have if all had as many."""

NAMED = 3
"""Labels that a sentence names."""


@dataclass(frozen=True)
class Coverage:
    """How evenly N images cover what they cover.

    order: int64 [N], the rarest first. times: float32 [N], how far each is from its tenth nearest,
    as a multiple of what is usual, the median; inf where usual is nothing, as among copies.
    small: numbers of groups with few images, the smallest first.
    few: labels with few images, with how many, the fewest first; () without labels.
    even: images that each label would have if all had as many.
    """

    order: np.ndarray
    times: np.ndarray
    small: tuple[int, ...]
    few: tuple[tuple[str, int], ...]
    even: float
    sentence: str

    @property
    def lonely(self) -> int:
        """Images that are far from all others."""
        return int((self.times > LONELY).sum())


def coverage(survey: Survey, rarity: np.ndarray, clusters: Clusters | None) -> Coverage:
    """What is rare among the images of a survey.

    Args:
        rarity: float32 [N], the distance of each to its tenth nearest.
    """
    usual = float(np.median(rarity))
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(rarity > 0, rarity / usual, 0).astype(np.float32)
    few, even = _few_labels(survey)
    small: tuple[int, ...] = ()
    if clusters is not None and len(clusters):
        sizes = clusters.sizes
        small = tuple(i for i in range(len(sizes) - 1, -1, -1) if sizes[i] < FEW * sizes.mean())
    sentences = [_alone(times), _grouped(clusters), _labelled(survey, few, even)]
    return Coverage(
        np.argsort(-times, kind="stable"),
        times,
        small,
        few,
        even,
        " ".join(filter(None, sentences)),
    )


def _few_labels(survey: Survey) -> tuple[tuple[tuple[str, int], ...], float]:
    """A label that the data set knows and no image here has counts as one with none."""
    if survey.labels is None or not (survey.labels >= 0).any():
        return (), 0.0
    known = survey.labels[survey.labels >= 0]
    counts = np.bincount(known, minlength=len(survey.label_names))
    if not survey.label_names:
        counts = counts[counts > 0]
    even = len(known) / len(counts)
    numbers = np.arange(len(counts)) if survey.label_names else np.unique(known)
    order = np.argsort(counts, kind="stable")
    few = [(survey.label_name(int(numbers[i])), int(counts[i])) for i in order]
    return tuple((name, count) for name, count in few if count < FEW * even), even


def _alone(times: np.ndarray) -> str:
    if len(times) == 1:
        return "One image has no others to be rare among."
    if not times.any():
        return "All images have the same encoding: none is rare, or the model tells none apart."
    far = int((times > LONELY).sum())
    if not far:
        return "No image lies far from all others."
    what = "image lies" if far == 1 else "images lie"
    return (
        f"{grouped(far)} of {grouped(len(times))} {what} more than {LONELY:.0f} times as far from "
        "their neighbours as usual."
    )


def _grouped(clusters: Clusters | None) -> str:
    if clusters is None or not len(clusters):
        return ""
    sizes, n = clusters.sizes, len(clusters.number)
    alone = 100 * (n - sizes.sum()) / n
    if len(sizes) == 1:
        return f"One group holds {100 * sizes[0] / n:.0f} % of all."
    return (
        f"The largest of {len(sizes)} groups holds {100 * sizes[0] / n:.0f} % of all, the smallest "
        f"{grouped(int(sizes[-1]))} images; {alone:.0f} % are in none."
    )


def _labelled(survey: Survey, few: tuple[tuple[str, int], ...], even: float) -> str:
    if not few:
        return "" if not even else "Every label has its share of images."
    named = ", ".join(f"{name} ({grouped(count)})" for name, count in few[:NAMED])
    more = f" and {len(few) - NAMED} more labels" if len(few) > NAMED else ""
    return f"Few images have the label {named}{more}; an even share would be {even:.0f}."
