"""Precision and recall, density and coverage: pictures in the neighbourhoods of others.

A neighbourhood is the ball about an image that reaches to its k-th nearest other image of its set;
all balls of a set together stand for where its images lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vae_core.metrics.quality.estimate import Estimate, estimate, proportion, resampled_counts
from vae_core.progress import Progress, no_progress

PRECISION_NEIGHBOUR = 3
"""Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models (2019):
what their figures were made with."""

DENSITY_NEIGHBOUR = 5
"""Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models (2020): what
theirs were made with."""

LEAST_IMAGES = DENSITY_NEIGHBOUR + 1
"""A set with fewer has no k-th nearest other image."""

IN_WHICH = "Looking who lies in which neighbourhood"
AT_ONCE = 2**21
"""Distances that are held at once: 17 MB, and twice that while they are made."""

ROUNDING = 1e-12
"""Of the squared lengths of two features: by so much their squared distance may be off, and copies
would lie on this side of an edge or on the other by chance."""


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a_i − b_j‖² of float64 [N, D] and [M, D]: [N, M], exactly 0 within rounding."""
    squares, others = np.square(a).sum(1)[:, None], np.square(b).sum(1)[None]
    found = squares + others - 2 * (a @ b.T)
    found[found <= ROUNDING * (squares + others)] = 0.0
    return found


def blocks(n: int, others: int, message: str, progress: Progress) -> Iterator[slice]:
    """The rows of n, some at a time, each to be held against so many others; how far it is is
    told."""
    rows = max(1, AT_ONCE // max(1, others))
    for start in range(0, n, rows):
        progress(message, start / n)
        yield slice(start, min(start + rows, n))


def radii(features: np.ndarray, k: int, progress: Progress = no_progress) -> np.ndarray:
    """Squared distance of each of [N, D] to its k-th nearest other one: [N], N > k."""
    n = len(features)
    found = np.empty(n)
    for here in blocks(n, n, "Measuring neighbourhoods", progress):
        distances = squared_distances(features[here], features)
        own = np.arange(here.start, here.stop)
        distances[own - here.start, own] = np.inf
        found[here] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return found


@dataclass(frozen=True)
class Within:
    """Of each of M pictures how many balls of N images it lies in, int64 [M]; of each of the images
    whether its ball holds one, bool [N]."""

    balls: np.ndarray
    reached: np.ndarray


def within(
    pictures: np.ndarray, centres: np.ndarray, squared: np.ndarray, progress: Progress = no_progress
) -> Within:
    """Which pictures [M, D] lie in balls about centres [N, D] of squared radii [N]; on the edge
    counts, so that a copy lies in the ball of its original whatever that is."""
    balls, reached = np.empty(len(pictures), np.int64), np.zeros(len(centres), bool)
    for here in blocks(len(pictures), len(centres), IN_WHICH, progress):
        inside = squared_distances(pictures[here], centres) <= squared
        balls[here] = inside.sum(1)
        reached |= inside.any(0)
    return Within(balls, reached)


@dataclass(frozen=True)
class Manifold:
    """precision: share of pictures among the images. recall: share of images among the pictures.
    density: how many images' neighbourhoods a picture lies in, in units of what is expected of
    images themselves; above 1 where pictures keep to where images are dense. coverage: share of
    images with a picture in their neighbourhood."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def manifold(real: np.ndarray, made: np.ndarray, progress: Progress = no_progress) -> Manifold:
    """All four, of features [N, D] of images and [M, D] of pictures, N and M > `DENSITY_NEIGHBOUR`.

    Intervals are over the images that are counted; those whose neighbourhoods they are counted in
    stay as they are: a draw with replacement would shrink them, as copies are at distance 0.

    Source: Kynkäänniemi et al. (2019), section 2; Naeem et al. (2020), section 3.
    """
    precision = within(made, real, radii(real, PRECISION_NEIGHBOUR, progress), progress).balls > 0
    recall = within(real, made, radii(made, PRECISION_NEIGHBOUR, progress), progress).balls > 0
    near = within(made, real, radii(real, DENSITY_NEIGHBOUR, progress), progress)
    each = near.balls / DENSITY_NEIGHBOUR
    resampled = resampled_counts(len(made)) @ each / len(made)
    return Manifold(
        proportion(precision),
        proportion(recall),
        estimate(float(each.mean()), resampled, least=0.0),
        proportion(near.reached),
    )
