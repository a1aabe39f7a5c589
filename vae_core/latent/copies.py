"""Images that are as good as copies: groups of them, and which one of each to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.data.dataset import Images
from vae_core.latent.neighbours import Neighbours, linked, typical_distance
from vae_core.latent.survey import Survey
from vae_core.progress import Progress, no_progress

NEAR = 0.25
"""Closer than this share of the usual distance to a nearest neighbour counts as near."""

ALIKE = 16.0
"""Grey levels of 255, root mean square, by which pictures of one group differ at most: encodings
that a collapsed posterior made alike are no copies."""

AT_ONCE = 256
"""Pairs of pictures that are held at once."""


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

    Images are linked to neighbours that are near and look alike, and to those that show exactly
    the same, however many these are. Of what hangs together the middle one is kept, with all that
    are like it; of those left over again the middle one, as in a film whose first and last picture
    are no copies of each other.

    Args:
        images: the pictures of the survey; None takes the encodings' word for it.
        alike: grey levels of 255 that a picture may differ from the kept one.
    """
    usual = typical_distance(neighbours)
    one, column = np.nonzero(neighbours.distances <= near * usual)
    other = neighbours.places[one, column]
    if images is not None:
        same = differences_between(images, one, other, progress) <= alike
        one, other = one[same], other[same]
    pairs = [np.stack([one, other]), _same_content(survey)]
    found: list[tuple[int, np.ndarray, np.ndarray]] = []
    for rest in linked(np.concatenate(pairs, axis=1), len(survey)):
        while len(rest) > 1:
            progress("Comparing pictures", None)
            middle = survey.mu[rest].mean(axis=0)
            first = int(rest[np.linalg.norm(survey.mu[rest] - middle, axis=1).argmin()])
            rest = rest[rest != first]
            apart = np.zeros(len(rest), np.float32)
            if images is not None:
                apart = differences_between(images, np.full(len(rest), first), rest)
            order = np.argsort(apart, kind="stable")
            copies = order[apart[order] <= alike]
            if len(copies):
                found.append((first, rest[copies], apart[copies]))
            rest = np.delete(rest, copies)
    found.sort(key=lambda group: -len(group[1]))
    return Copies(
        tuple(first for first, _, _ in found),
        tuple(others for _, others, _ in found),
        None if images is None else tuple(apart for _, _, apart in found),
        usual,
    )


def differences_between(
    images: Images, one: np.ndarray, other: np.ndarray, progress: Progress = no_progress
) -> np.ndarray:
    """Root mean square over the pixels between the images of pairs [M]: float32 [M]."""
    found = np.empty(len(one), np.float32)
    for start in range(0, len(one), AT_ONCE):
        progress("Comparing pictures", start / len(one))
        here = slice(start, start + AT_ONCE)
        rows, which = np.unique(np.concatenate([one[here], other[here]]), return_inverse=True)
        first, second = np.split(images.gather(rows).astype(np.float32)[which], 2)
        found[here] = np.sqrt(np.square(first - second).mean(axis=(1, 2, 3)))
    return found


def _same_content(survey: Survey) -> np.ndarray:
    """Each image with the one before it that shows exactly the same: int64 [2, M]."""
    if survey.hashes is None:
        return np.empty((2, 0), np.int64)
    order = np.argsort(survey.hashes, kind="stable")
    again = np.flatnonzero(np.diff(survey.hashes[order]) == 0)
    return np.stack([order[again], order[again + 1]])
