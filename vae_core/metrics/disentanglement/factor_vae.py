"""The score of FactorVAE: which latent is still while a factor is?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.groups import Groups

VOTES, ROWS = 800, 64
COLLAPSED = 0.05
"""Variance of a mean below which a latent is left out: it says nothing, so it is always still."""


def factor_vae_score(
    codes: np.ndarray, factors: np.ndarray, seed: int = 0, votes: int = VOTES, rows: int = ROWS
) -> float:
    """Accuracy of a majority vote that tells from the stillest latent which factor was fixed.

    For each vote one factor is fixed, `rows` rows are drawn, and the latent with the smallest
    variance over them is noted, each scaled by its deviation over all rows. Half of the votes
    decide which factor each latent stands for; the other half are counted. Guessing scores 1/F.

    Args:
        codes: [N, L]. factors: int [N, F].

    Source: Kim and Mnih, Disentangling by Factorising (2018), section 4.
    """
    deviation = codes.std(axis=0)
    live = np.flatnonzero(deviation**2 > COLLAPSED)
    groups = Groups(factors)
    if len(live) == 0:
        return 1 / max(1, len(groups.factors()))
    scaled = codes[:, live] / deviation[live]
    rng = np.random.default_rng(seed)

    def table() -> np.ndarray:
        """How often each latent was the stillest while each factor was fixed, [L, F]."""
        counts = np.zeros((len(live), factors.shape[1]), int)
        for factor in rng.choice(groups.factors(), votes):
            stillest = scaled[groups.draw(factor, 1, rows, rng)[0]].var(axis=0).argmin()
            counts[stillest, factor] += 1
        return counts

    stands_for = table().argmax(axis=1)
    counted = table()
    return float(counted[np.arange(len(live)), stands_for].sum() / counted.sum())
