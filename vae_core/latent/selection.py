"""Images of a survey: those that stand out, what those that were chosen have in common, and the way
from one choice to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.latent.survey import Survey, finite


def picks(survey: Survey, how: str, n: int, seed: int = 0) -> np.ndarray:
    """At most n places [n]: "random", or the "best" or "worst" reconstructed images first.

    Raises:
        UserError: when the survey holds no reconstruction errors, or some are not finite.
    """
    if how == "random":
        return np.random.default_rng(seed).permutation(len(survey))[:n]
    if survey.recon is None:
        raise UserError(
            "These images cannot be ranked so. Only their encodings are kept; choose a part of the "
            "data set."
        )
    worst = np.argsort(-finite(survey.recon, "recon"), kind="stable")
    return (worst[::-1] if how == "best" else worst)[:n]


BATCH = 512


@dataclass(frozen=True)
class Arrow:
    """The way between the means of two selections: from `start` [D] along `vector` [D], a unit, for
    `length` latent units."""

    start: np.ndarray
    vector: np.ndarray
    length: float


def label_mix(survey: Survey, chosen: np.ndarray) -> dict[str, int]:
    """How many of the places `chosen` have each label, the most frequent first; {} without."""
    if survey.labels is None:
        return {}
    labels, counts = np.unique(survey.labels[chosen], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {survey.label_name(int(labels[i])): int(counts[i]) for i in order}


def mean_image(images: Images, chosen: np.ndarray) -> np.ndarray:
    """The pixelwise mean of the images at `chosen` [M ≥ 1]: uint8 [C, H, W], a batch in memory."""
    _some(chosen)
    total = np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(chosen), BATCH):
        total += images.gather(chosen[start : start + BATCH]).sum(axis=0, dtype=np.int64)
    return np.rint(total / len(chosen)).astype(np.uint8)


def mean_vector(survey: Survey, chosen: np.ndarray) -> np.ndarray:
    """The mean encoding of the images at `chosen` [M ≥ 1], to be decoded: float32 [D]."""
    _some(chosen)
    mean: np.ndarray = survey.mu[chosen].mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32)


def direction_between(survey: Survey, here: np.ndarray, there: np.ndarray) -> Arrow:
    """From the mean encoding of the images at `here` to that of those at `there`.

    Source: Larsen et al., Autoencoding beyond pixels using a learned similarity metric (2016).
    """
    start, end = mean_vector(survey, here), mean_vector(survey, there)
    length = float(np.linalg.norm(end - start))
    if length == 0:
        raise UserError("Both selections have the same mean encoding; choose two that differ.")
    return Arrow(start, (end - start) / length, length)


def _some(chosen: np.ndarray) -> None:
    if len(chosen) == 0:
        raise UserError("Nothing is selected; draw around at least one point.")
