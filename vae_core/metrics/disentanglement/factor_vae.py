"""The score of FactorVAE: which latent is still while a factor is?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.groups import Groups, standardised

VOTES, ROWS = 800, 64


def factor_vae_score(
    codes: np.ndarray, factors: np.ndarray, seed: int = 0, votes: int = VOTES, rows: int = ROWS
) -> float:
    """Accuracy of a majority vote that tells from the stillest latent which factor was fixed.

    For each vote one factor is fixed, `rows` rows are drawn, and the latent with the smallest
    variance over them is noted, each scaled by its deviation over all rows. Half of the votes
    decide which factor each latent stands for; the other half are counted. Guessing scores 1/F.
    A latent that never varies is always the stillest and says nothing, so it is left out. How
    small a latent's values are does not matter; one that varies, but by less than the posterior is
    wide, is for the caller to leave out (`vae_core.metrics.collapse`): here widths are not known.

    Args:
        codes: [N, L]. factors: int [N, F].

    Raises:
        UserError: when no factor has two values that recur.

    Source: Kim and Mnih, Disentangling by Factorising (2018), section 4.
    """
    groups = Groups(factors)
    scaled = standardised(codes)
    scaled = scaled[:, np.ptp(scaled, axis=0) > 0]
    if scaled.shape[1] == 0:
        return 1 / len(groups.factors())
    rng = np.random.default_rng(seed)

    def table() -> np.ndarray:
        """How often each latent was the stillest while each factor was fixed, [L, F]."""
        counts = np.zeros((scaled.shape[1], factors.shape[1]), int)
        for factor in rng.choice(groups.factors(), votes):
            stillest = scaled[groups.draw(factor, 1, rows, rng)[0]].var(axis=0).argmin()
            counts[stillest, factor] += 1
        return counts

    stands_for = table().argmax(axis=1)
    counted = table()
    return float(counted[np.arange(len(counted)), stands_for].sum() / counted.sum())
