"""Images that are as good as copies: groups of them, and which one of each to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.data.dataset import Images
from vae_core.latent.neighbours import Neighbours, duplicates, typical_distance
from vae_core.latent.survey import Survey
from vae_core.progress import Progress, no_progress

NEAR = 0.25
"""Closer than this share of the usual distance to a nearest neighbour counts as near."""

ALIKE = 16.0
"""Grey levels of 255, root mean square, by which pictures of one group differ at most: encodings
that a collapsed posterior made alike are no copies."""


@dataclass(frozen=True)
class Copies:
    """Groups of images that are near-duplicates of the one to keep, the largest groups first.

    kept: int64 [G], of each group the image nearest to the middle of its encodings.
    others: for each group its other images, int64 [≥ 1], the most alike first.
    differences: for each group, how far those are from the kept one in grey levels of 255, root
    mean square over the pixels; 0 is an exact copy. None where pictures are not at hand.
    usual: the median distance of an image to its nearest neighbour, in latent units.
    """

    kept: tuple[int, ...]
    others: tuple[np.ndarray, ...]
    differences: tuple[np.ndarray, ...] | None
    usual: float

    @property
    def superfluous(self) -> np.ndarray:
        """All images that a "keep one" list leaves out: int64, ascending."""
        return np.sort(np.concatenate(self.others)) if self.others else np.empty(0, np.int64)


def find_copies(
    survey: Survey,
    neighbours: Neighbours,
    images: Images | None,
    near: float = NEAR,
    alike: float = ALIKE,
    progress: Progress = no_progress,
) -> Copies:
    """Near-duplicates: encodings closer than `near` × the usual distance, and pictures alike.

    Args:
        images: the pictures of the survey; None takes the encodings' word for it.
        alike: grey levels of 255 that a picture may differ from the kept one.
    """
    usual = typical_distance(neighbours)
    kept: list[int] = []
    others: list[np.ndarray] = []
    differences: list[np.ndarray] = []
    groups = duplicates(neighbours, near * usual)
    for done, group in enumerate(groups):
        progress("Comparing pictures", done / len(groups))
        middle = survey.mu[group].mean(axis=0)
        first = int(group[np.linalg.norm(survey.mu[group] - middle, axis=1).argmin()])
        rest = group[group != first]
        if images is not None:
            apart = difference(images, first, rest)
            order = np.argsort(apart, kind="stable")
            order = order[apart[order] <= alike]
            rest, apart = rest[order], apart[order]
            differences.append(apart)
        if len(rest):
            kept.append(first)
            others.append(rest)
        elif images is not None:
            differences.pop()
    largest_first = sorted(range(len(kept)), key=lambda i: -len(others[i]))
    return Copies(
        tuple(kept[i] for i in largest_first),
        tuple(others[i] for i in largest_first),
        None if images is None else tuple(differences[i] for i in largest_first),
        usual,
    )


def difference(images: Images, one: int, rest: np.ndarray) -> np.ndarray:
    """Root mean square over the pixels between one image and each of `rest` [M]: float32 [M]."""
    first = images.gather(np.array([one])).astype(np.float32)
    found = [
        np.sqrt(np.square(images.gather(rest[i : i + 256]) - first).mean(axis=(1, 2, 3)))
        for i in range(0, len(rest), 256)
    ]
    return np.concatenate(found) if found else np.empty(0, np.float32)
