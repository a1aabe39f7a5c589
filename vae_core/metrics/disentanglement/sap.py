"""Separated attribute predictability."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vae_core.metrics.disentanglement.groups import varied
from vae_core.metrics.disentanglement.mig import gaps


def sap_score(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int] = (), seed: int = 0
) -> float:
    """By how much the best latent predicts a factor better than the second best does.

    The score of latent i for an ordered factor j is their squared correlation; for a categorical
    one it is the balanced accuracy on unseen rows of thresholds on that latent, scaled so that
    guessing scores 0. SAP is the mean over factors that vary of the gap between the two best
    latents.

    Args:
        codes: [N, L]. factors: int [N, F]. categorical: the factors without an order.

    Raises:
        UserError: when no factor varies.

    Source: Kumar, Sattigeri and Balakrishnan, Variational Inference of Disentangled Latent
    Concepts (2018), section 3.
    """
    scores = np.array(
        [
            [
                _thresholds(z, factors[:, k], seed)
                if k in categorical
                else _squared_correlation(z, factors[:, k])
                for k in varied(factors)
            ]
            for z in codes.T
        ]
    )
    return float(np.mean(gaps(scores)))


def _squared_correlation(z: np.ndarray, v: np.ndarray) -> float:
    if np.ptp(z) == 0:
        return 0.0
    return float(np.corrcoef(z, v)[0, 1] ** 2)


def _thresholds(z: np.ndarray, v: np.ndarray, seed: int) -> float:
    """Balanced accuracy of a tree on one number, 0 for a guess and 1 for no error."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeClassifier

    _, which, counts = np.unique(v, return_inverse=True, return_counts=True)
    twice = counts[which] > 1  # what occurs once cannot be both learned and asked for
    if np.ptp(z) == 0 or (counts > 1).sum() < 2:
        return 0.0
    known, unseen, v_known, v_unseen = train_test_split(
        z[twice, None], v[twice], test_size=0.5, random_state=seed, stratify=v[twice]
    )
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(counts), class_weight="balanced", random_state=seed
    )
    predicted = tree.fit(known, v_known).predict(unseen)
    return max(0.0, float(balanced_accuracy_score(v_unseen, predicted, adjusted=True)))
