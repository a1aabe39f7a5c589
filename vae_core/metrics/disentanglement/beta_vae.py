"""The score of β-VAE: can a linear classifier see which factor a pair has in common?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.groups import Groups, standardised

POINTS, PAIRS = 500, 64


def beta_vae_score(
    codes: np.ndarray, factors: np.ndarray, seed: int = 0, points: int = POINTS, pairs: int = PAIRS
) -> float:
    """Accuracy on unseen points of a linear classifier of the factor that pairs share.

    A point is the mean of |z₁ − z₂| over `pairs` pairs of rows that have one factor in common.
    Guessing scores 1/F. Codes are scaled to unit deviation first, so that the classifier does
    not depend on their size.

    Args:
        codes: [N, L]. factors: int [N, F].

    Raises:
        UserError: when no factor has two values that recur.

    Source: Higgins et al., β-VAE (2017), section 3.
    """
    from sklearn.linear_model import LogisticRegression

    scaled, groups, rng = standardised(codes), Groups(factors), np.random.default_rng(seed)
    if len(groups.factors()) == 1:
        return 1.0  # there is nothing else to guess

    def draw() -> tuple[np.ndarray, np.ndarray]:
        """Points [points, L] and the factor of each."""
        chosen = rng.choice(groups.factors(), points)
        rows = np.stack([groups.draw(factor, pairs, 2, rng) for factor in chosen])
        return np.abs(scaled[rows[..., 0]] - scaled[rows[..., 1]]).mean(axis=1), chosen

    classifier = LogisticRegression(C=100.0, max_iter=2000).fit(*draw())
    return float(classifier.score(*draw()))
