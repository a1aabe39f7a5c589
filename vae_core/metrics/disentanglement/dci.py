"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.metrics.disentanglement.factors import Points, varied

TREES = 20


@dataclass(frozen=True)
class Dci:
    """disentanglement: each latent stands for one factor. completeness: each factor is held by
    one latent. informativeness: the factors can be read from the codes. All in [0, 1]."""

    disentanglement: float
    completeness: float
    informativeness: float


def dci(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int] = (), seed: int = 0
) -> Dci:
    """The three scores, from random forests that predict each factor from all latents.

    With R_ij the importance of latent i for factor j: D_i = 1 − H_F(R_i· normalised), averaged
    with each latent's share of all importance; C_j = 1 − H_L(R_·j normalised), averaged over the
    factors that vary. Informativeness is 1 − the error on unseen rows over that of the best
    constant: root mean squares of an ordered factor, wrong answers of a categorical one.

    Source: Eastwood and Williams, A Framework for the Quantitative Evaluation of Disentangled
    Representations (2018), section 2.
    """
    fitted = [_fit(codes, factors[:, k], k in categorical, seed) for k in varied(factors)]
    importance = np.stack([each[0] for each in fitted], axis=1)  # [L, F]
    return _of_importance(importance, float(np.mean([each[1] for each in fitted])))


def _of_importance(importance: np.ndarray, informativeness: float) -> Dci:
    """D and C of importances [L, F]."""
    share = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    return Dci(
        disentanglement=float(share @ _concentration(importance)),
        completeness=float(np.mean(_concentration(importance.T))),
        informativeness=informativeness,
    )


def _concentration(rows: np.ndarray) -> np.ndarray:
    """1 − entropy of each row, normalised, to the base of its length; 0 for an empty row."""
    totals = rows.sum(axis=1, keepdims=True)
    p = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    base = np.log(max(2, rows.shape[1]))  # all of a row of one lies in one place
    return (totals[:, 0] > 0) * (1 + (p * logs).sum(axis=1) / base)


def _fit(
    codes: np.ndarray, v: np.ndarray, categorical: bool, seed: int
) -> tuple[np.ndarray, float]:
    """Importances [L] of a forest that predicts v, and how well it does on unseen rows."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.model_selection import train_test_split

    known, unseen, v_known, v_unseen = train_test_split(codes, v, test_size=0.5, random_state=seed)
    kind = RandomForestClassifier if categorical else RandomForestRegressor
    # Every split may use every latent: forced onto others, it would find them important.
    forest = kind(TREES, max_features=None, random_state=seed).fit(known, v_known)
    predicted = forest.predict(unseen)
    if categorical:
        values, counts = np.unique(v_known, return_counts=True)
        error, constant = predicted != v_unseen, values[counts.argmax()] != v_unseen
        ratio = error.mean() / max(constant.mean(), 1e-12)
    else:
        error, constant = predicted - v_unseen, v_known.mean() - v_unseen
        ratio = np.sqrt((error**2).mean() / max((constant**2).mean(), 1e-12))
    return forest.feature_importances_, max(0.0, 1.0 - float(ratio))


BOOSTED = 100
"""Rounds of boosting, of one tree for each class: scikit-learn's default, as published."""


def dci_boosted(
    known: Points, unseen: Points, rounds: int = BOOSTED, progress: Progress = no_progress
) -> Dci:
    """DCI as Locatello et al. (2019), appendix C, measure it: gradient-boosted trees predict each
    factor as a class. Informativeness is the mean accuracy on unseen points."""
    from sklearn.ensemble import GradientBoostingClassifier

    factors = varied(known.factors)
    importance = np.zeros((known.codes.shape[1], len(factors)))
    accuracy = np.zeros(len(factors))
    for j, k in enumerate(factors):

        def told(done: int, *rest: object, j: int = j) -> bool:
            share = (j + (done + 1) / rounds) / len(factors)
            progress(f"DCI: boosted trees for factor {j + 1} of {len(factors)}", share)
            return False

        trees = GradientBoostingClassifier(n_estimators=rounds, random_state=0)
        trees.fit(known.codes, known.factors[:, k], monitor=told)
        importance[:, j] = trees.feature_importances_
        accuracy[j] = trees.score(unseen.codes, unseen.factors[:, k])
    return _of_importance(importance, float(accuracy.mean()))
