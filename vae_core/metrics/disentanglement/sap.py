"""The separated attribute predictability."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.metrics.disentanglement.factors import Points, varied
from vae_core.metrics.disentanglement.mig import gaps


def sap_score(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int] = (), seed: int = 0
) -> float:
    """By how much the best latent predicts a factor better than the second best does.

    The score of latent i for an ordered factor j is their squared correlation; for a `categorical`
    one it is the balanced accuracy on unseen rows of thresholds on that latent, scaled so that
    guessing scores 0. SAP is the mean over factors that vary of the gap between the two best
    latents.

    Source: Kumar, Sattigeri and Balakrishnan, Variational Inference of Disentangled Latent
    Concepts (2018), section 3.
    """

    def score(z: np.ndarray, k: int) -> float:
        if np.ptp(z) == 0:
            return 0.0
        v = factors[:, k]
        return _thresholds(z, v, seed) if k in categorical else np.corrcoef(z, v)[0, 1] ** 2

    scores = [[score(z, k) for k in varied(factors)] for z in codes.T]
    return float(np.mean(gaps(np.array(scores))))


def _thresholds(z: np.ndarray, v: np.ndarray, seed: int) -> float:
    """Balanced accuracy of a tree on one number, 0 for a guess and 1 for no error."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeClassifier

    _, which, counts = np.unique(v, return_inverse=True, return_counts=True)
    twice = counts[which] > 1  # what occurs once cannot be both learned and asked for
    if (counts > 1).sum() < 2:
        return 0.0
    known, unseen, v_known, v_unseen = train_test_split(
        z[twice, None], v[twice], test_size=0.5, random_state=seed, stratify=v[twice]
    )
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(counts), class_weight="balanced", random_state=seed
    )
    predicted = tree.fit(known, v_known).predict(unseen)
    return max(0.0, float(balanced_accuracy_score(v_unseen, predicted, adjusted=True)))


SVM_COST = 0.01


def sap_by_svm(known: Points, unseen: Points, progress: Progress = no_progress) -> float:
    """SAP as Locatello et al. (2019), appendix C, measure it: every factor is a set of classes, the
    score of a latent the accuracy of a linear SVM with C = 0.01 on it, on unseen points."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    factors = varied(known.factors)
    scores = np.zeros((known.codes.shape[1], len(factors)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a latent that says nothing
        for i, j in np.ndindex(*scores.shape):
            share = (i + j / len(factors)) / len(scores)
            progress("SAP: a linear SVM for each latent and factor", share)
            svm = LinearSVC(C=SVM_COST, class_weight="balanced", random_state=0)
            svm.fit(known.codes[:, [i]], known.factors[:, factors[j]])
            scores[i, j] = svm.score(unseen.codes[:, [i]], unseen.factors[:, factors[j]])
    return float(gaps(scores).mean())
