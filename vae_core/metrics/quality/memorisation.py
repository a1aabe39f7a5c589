"""Whether pictures are copies of training images, which every other measure takes for perfect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.metrics.quality.estimate import (
    Estimate,
    estimate,
    proportion,
    resampled_counts,
)
from vae_core.metrics.quality.manifold import blocks, squared_distances
from vae_core.progress import Progress, no_progress


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of M pictures: places int64 [M], squared distances
    float64 [M]."""

    places: np.ndarray
    squared: np.ndarray


def nearest(
    pictures: np.ndarray, training: np.ndarray, progress: Progress = no_progress
) -> Nearest:
    """Of each of features [M, D] the nearest of [N, D]."""
    places, squared = np.empty(len(pictures), np.int64), np.empty(len(pictures))
    message = "Looking for the nearest training image"
    for here in blocks(len(pictures), len(training), message, progress):
        distances = squared_distances(pictures[here], training)
        places[here] = distances.argmin(1)
        squared[here] = distances.min(1)
    return Nearest(places, squared)


def copying(made: Nearest, held_out: Nearest) -> Estimate:
    """How often a picture is nearer to its nearest training image than a held-out image is to its
    own: ½ for what is as new as held-out images are, 1 for copies.

    It is the statistic of Mann and Whitney, U / MN; its interval is over both sets of images, each
    drawn anew by itself. Held-out images are what to expect of somebody who has not seen the
    training images but knows where they come from.

    Source: Meehan, Chaudhuri and Dasgupta, A Non-Parametric Test to Detect Data-Copying in
    Generative Models (2020), section 3.
    """
    of_made = _share_above(held_out.squared, made.squared)
    of_held_out = 1.0 - _share_above(made.squared, held_out.squared)
    value = float(of_made.mean())
    a, b = (
        resampled_counts(len(each), seed=seed) @ each / len(each)
        for seed, each in enumerate((of_made, of_held_out))
    )
    found = estimate(value, a + b - value, least=0.0)
    return found.model_copy(update={"high": min(1.0, found.high or 1.0)})


def _share_above(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Of each limit [N] the share of values [M] above it, ties by half: [N]."""
    ordered = np.sort(values)
    above = len(ordered) - np.searchsorted(ordered, limits, side="right")
    equal = len(ordered) - np.searchsorted(ordered, limits, side="left") - above
    shares: np.ndarray = (above + 0.5 * equal) / len(ordered)
    return shares


def authenticity(made: Nearest, training: np.ndarray, progress: Progress = no_progress) -> Estimate:
    """The share of pictures that are farther from their nearest training image than that is from
    its own nearest other one, training [N, D]: low where pictures crowd about training images.

    Held-out images have less than 1 too, see `compare`.

    Source: Alaa et al., How Faithful is your Synthetic Data? (2022), on authenticity.
    """
    asked, which = np.unique(made.places, return_inverse=True)
    own = np.empty(len(asked))
    for here in blocks(len(asked), len(training), "Comparing training images", progress):
        distances = squared_distances(training[asked[here]], training)
        distances[np.arange(here.stop - here.start), asked[here]] = np.inf
        own[here] = distances.min(1)
    return proportion(made.squared > own[which.ravel()])
