"""What a collection of images is like: how many ways it varies, and what leaves it of a kind.

All of it is told by nearest neighbours among a sample of small pictures, in a second or less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vae_core.data.augmentation import drawn, moved
from vae_core.data.dataset import ImageSet
from vae_core.data.samples import spread
from vae_core.imaging.resize import thumbnails

SAMPLE = 1500
"""Images that are looked at: an estimate of 25 dimensions then has a standard error of 0.2."""

SIDE = 32
"""Pixels of their longer side: finer detail is not what a code keeps first."""

NEIGHBOURS = 20
"""Pope et al., The intrinsic dimension of images and its impact on learning (2021), section 4."""

TELLING = 0.6
"""Share of the images that are recognised as changed from which on a change is seen; 1/2 is what
guessing comes to."""

LEAST_IMAGES = 8

MOST_MISTAKEN = 0.1
"""Share of the labels that a change may cost."""


@dataclass(frozen=True)
class Content:
    """A sample of the images of a part: uint8 [N, C, h, w], no side above `SIDE`, no two alike;
    labels int64 [N] or None."""

    images: np.ndarray
    labels: np.ndarray | None


def look_at(part: ImageSet) -> Content:
    """At most `SAMPLE` images of a part, evenly over its classes, without copies."""
    chosen = np.sort(spread(part, SAMPLE))
    small = thumbnails(part.images.gather(chosen), SIDE)
    _, first = np.unique(small.reshape(len(small), -1), axis=0, return_index=True)
    first = np.sort(first)
    return Content(small[first], None if part.labels is None else part.labels[chosen[first]])


def two_tone(content: Content) -> float:
    """The share of values within a tenth of black or white."""
    values = content.images
    return float(((values < 0.1 * 255) | (values > 0.9 * 255)).mean())


def dimensions(content: Content) -> float:
    """How many ways the images vary: `intrinsic_dimension` of their pixels."""
    return intrinsic_dimension(_flat(content.images))


def intrinsic_dimension(points: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """How many dimensions points [N, D] fill, by the distances to their nearest neighbours.

    The maximum likelihood estimate of Levina and Bickel, Maximum likelihood estimation of
    intrinsic dimension (2004), equation 8, its inverses averaged over the points, which alone are
    unbiased: MacKay and Ghahramani (2005). NaN for fewer than four points that differ.
    """
    points = np.unique(points, axis=0)
    k = min(neighbours, len(points) - 1)
    if k < 3:
        return math.nan
    from sklearn.neighbors import NearestNeighbors  # seconds to import

    logs = np.log(NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0])
    inverses = (logs[:, -1:] - logs[:, :-1]).sum(axis=1) / (k - 1)
    return float(1 / max(inverses.mean(), 1e-12))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "flip": lambda images: images[..., ::-1],
    "shift": lambda images: _shifted(images),
}
"""What an augmentation does to all images, by its name."""


def changes_kind(content: Content, change: str) -> str:
    """Why images of another kind come of an augmentation, "" where they do not.

    Where nearest neighbours tell changed images from unchanged ones, no image in both (the
    two-sample test of Schilling, 1986, as a classifier's: Lopez-Paz and Oquab, 2017), the change
    shows. Where the nearest image to a changed one has another label more often than that to the
    image itself, it changes what the label says.
    """
    images, labels = content.images, content.labels
    if len(images) < LEAST_IMAGES:
        return f"{len(images)} images are too few to tell"
    changed = CHANGES[change](images)
    even = np.arange(len(images)) % 2 == 0
    halves = (even, ~even), (~even, even)
    told = float(np.mean([_told_apart(images[one], changed[other]) for one, other in halves]))
    if told >= TELLING:
        return f"nearest neighbours recognise {told:.0%} of them"
    if labels is not None:
        lost = _mistaken(images, changed, labels) - _mistaken(images, images, labels)
        if lost >= MOST_MISTAKEN:
            return f"{lost:.0%} more of them are taken for another label"
    return ""


def _shifted(images: np.ndarray) -> np.ndarray:
    places = drawn(images.shape, "shift", np.random.default_rng(0))
    return moved(torch.from_numpy(images), places).numpy()


def _told_apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of two samples of images whose nearest neighbour is of its own sample."""
    both = np.concatenate([ours, theirs])
    which = np.repeat([0, 1], [len(ours), len(theirs)])
    return float((which[_nearest(both, both)] == which).mean())


def _mistaken(images: np.ndarray, shown: np.ndarray, labels: np.ndarray) -> float:
    """The share of `shown` whose nearest image, another than that it was made of, is labelled
    otherwise."""
    return float((labels[_nearest(images, shown)] != labels).mean())


def _nearest(images: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """For each of `shown` the place of the nearest of as many images, but for its own place."""
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(_flat(images))
    places = finder.kneighbors(_flat(shown), return_distance=False)
    own = places[:, 0] == np.arange(len(shown))
    return np.where(own, places[:, 1], places[:, 0])


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)
