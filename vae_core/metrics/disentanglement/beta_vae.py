"""The score of β-VAE: can a linear classifier tell which factor pairs of images share?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.factors import Groups, Points, standardised

POINTS, PAIRS = 500, 64


def beta_vae_score(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """Accuracy on unseen points of a linear classifier of the factor that pairs share.

    A point is the mean of |z₁ − z₂| over `PAIRS` pairs of rows that have one factor in common.
    Guessing scores 1/F. Codes are scaled to unit deviation first, so that the classifier does
    not depend on their size.

    Source: Higgins et al., β-VAE (2017), section 3.
    """
    from sklearn.linear_model import LogisticRegression

    scaled, groups, rng = standardised(codes), Groups(factors), np.random.default_rng(seed)
    if len(groups.factors) == 1:
        return 1.0  # there is nothing else to guess
    classifier = LogisticRegression(C=100.0, max_iter=2000)
    classifier.fit(*_differences(scaled, groups, POINTS, rng))
    return float(classifier.score(*_differences(scaled, groups, POINTS, rng)))


def beta_vae_published(known: Points, unseen: Points, points: int, tests: int) -> float:
    """The score as Locatello et al. (2019), appendix C, measure it: a logistic regression with
    scikit-learn's defaults of `points` points of the codes as they are, on `tests` others."""
    from sklearn.linear_model import LogisticRegression

    rng, groups = np.random.default_rng(0), Groups(known.factors)
    if len(groups.factors) == 1:
        return 1.0
    classifier = LogisticRegression().fit(*_differences(known.codes, groups, points, rng))
    return float(classifier.score(*_differences(unseen.codes, Groups(unseen.factors), tests, rng)))


def _differences(
    codes: np.ndarray, groups: Groups, points: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points, the mean |z₁ − z₂| of pairs that share a factor [points, L], and which it is."""
    chosen = rng.choice(groups.factors, points)
    found = np.empty((points, codes.shape[1]))
    for i, factor in enumerate(chosen):  # all at once they would be 1.3 million pairs
        rows = groups.draw(factor, PAIRS, 2, rng)
        found[i] = np.abs(codes[rows[:, 0]] - codes[rows[:, 1]]).mean(axis=0)
    return found, chosen
