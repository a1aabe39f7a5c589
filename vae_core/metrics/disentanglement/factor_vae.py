"""The score of FactorVAE: does the stillest latent tell which factor was fixed?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.factors import Groups, Points, standardised

VOTES, ROWS = 800, 64

LEAST_VARIANCE = 0.05
"""Of a latent that votes in the published protocol: Locatello et al. (2019), appendix C."""


def factor_vae_score(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """Accuracy of a majority vote that tells from the stillest latent which factor was fixed.

    For each vote one factor is fixed, `ROWS` rows are drawn, and the latent with the smallest
    variance over them is noted, each scaled by its deviation over all rows. Half of the votes
    decide which factor each latent stands for; the other half are counted. Guessing scores 1/F.
    A latent that never varies is always the stillest and left out; one that varies by less than
    the posterior is wide is for the caller to leave out (`collapsed`).

    Source: Kim and Mnih, Disentangling by Factorising (2018), section 4.
    """
    groups = Groups(factors)
    scaled = standardised(codes)
    scaled = scaled[:, np.ptp(scaled, axis=0) > 0]
    if scaled.shape[1] == 0:
        return 1 / len(groups.factors)
    rng = np.random.default_rng(seed)
    learned, counted = (_votes(scaled, groups, factors.shape[1], VOTES, rng) for _ in range(2))
    return _accuracy(learned, counted)


def factor_vae_published(known: Points, unseen: Points, votes: int, tests: int) -> float:
    """The score as Locatello et al. (2019), appendix C, measure it: `votes` decide, `tests` others
    are counted, and latents whose variance over all points is below 0.05 are left out; 0 where
    that leaves none."""
    variance = known.codes.var(axis=0, ddof=1)
    active = variance >= LEAST_VARIANCE
    if not active.any():
        return 0.0
    rng, deviation = np.random.default_rng(0), np.sqrt(variance[active])

    def table(points: Points, n: int) -> np.ndarray:
        scaled = points.codes[:, active] / deviation
        return _votes(scaled, Groups(points.factors), points.factors.shape[1], n, rng)

    return _accuracy(table(known, votes), table(unseen, tests))


def _votes(
    scaled: np.ndarray, groups: Groups, factors: int, votes: int, rng: np.random.Generator
) -> np.ndarray:
    """How often each latent was the stillest while each factor was fixed, [L, F]."""
    counts = np.zeros((scaled.shape[1], factors), int)
    for factor in rng.choice(groups.factors, votes):
        stillest = scaled[groups.draw(factor, 1, ROWS, rng)[0]].var(axis=0).argmin()
        counts[stillest, factor] += 1
    return counts


def _accuracy(learned: np.ndarray, counted: np.ndarray) -> float:
    """Of the factor that each latent mostly stood for in the first votes, in the second ones."""
    stands_for = learned.argmax(axis=1)
    return float(counted[np.arange(len(counted)), stands_for].sum() / counted.sum())
