"""FID: the distance between two sets of features, each taken for a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.metrics.quality.estimate import RESAMPLES, Estimate, estimate, resampled_counts
from vae_core.progress import Progress, no_progress

MANY_DIMENSIONS, FEWER_RESAMPLES = 512, 20
"""Beyond them a resample takes seconds: of 2048 dimensions and 5000 images ten."""


@dataclass(frozen=True)
class Gaussian:
    """mean float64 [D], covariance float64 [D, D]."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, counts: np.ndarray | None = None) -> Gaussian:
        """The moments of features [N, D], each row counted once or so often as `counts` [N] says;
        the covariance is that over N − 1."""
        n = len(features) if counts is None else counts.sum()
        mean = features.mean(0) if counts is None else counts @ features / n
        centred = features - mean
        weighted = centred if counts is None else centred * counts[:, None]
        return cls(mean, weighted.T @ centred / (n - 1))


def enough(*sets: np.ndarray) -> bool:
    """Whether covariances of these sets [N, D] can have full rank: it takes more images than
    dimensions."""
    return all(len(features) > features.shape[1] for features in sets)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """‖μ_a − μ_b‖² + Tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½), in squared units of the features.

    Σ_a Σ_b has the eigenvalues of the symmetric Σ_a^½ Σ_b Σ_a^½, which are real and at least 0, so
    that the trace of the root is the sum of their roots. A root of the product itself, as it is
    often computed, comes out complex or not at all where covariances are nearly singular.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), equation 6; Dowson
    and Landau, The Fréchet Distance between Multivariate Normal Distributions (1982).
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ b.covariance @ root)
    traces = np.trace(a.covariance) + np.trace(b.covariance)
    distance = np.square(a.mean - b.mean).sum() + traces
    return max(0.0, float(distance - 2 * np.sqrt(np.maximum(shared, 0.0)).sum()))


def frechet(
    real: np.ndarray, made: np.ndarray, progress: Progress = no_progress
) -> Estimate | None:
    """FID of features [N, D] and [M, D] with its interval and bias; None where images are too few
    for the covariances.

    FID is too high for a finite number of images; how much differs from generator to generator.

    Source: Chong and Forsyth, Effectively Unbiased FID and Inception Score and where to find them
    (2020), for the bias.
    """
    if not enough(real, made):
        return None
    value = frechet_distance(Gaussian.fit(real), Gaussian.fit(made))
    resamples = RESAMPLES if real.shape[1] <= MANY_DIMENSIONS else FEWER_RESAMPLES
    drawn = zip(
        resampled_counts(len(real), resamples, 1),
        resampled_counts(len(made), resamples, 2),
        strict=True,
    )
    found = []
    for done, (of_real, of_made) in enumerate(drawn):
        progress("Resampling for the interval of FID", done / resamples)
        a, b = Gaussian.fit(real, of_real), Gaussian.fit(made, of_made)
        found.append(frechet_distance(a, b))
    return estimate(value, np.array(found), least=0.0, biased=True)
