"""Every score of a few thousand images within seconds, and how far each varies."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vae_core.data import Progress, no_progress
from vae_core.metrics.disentanglement.beta_vae import beta_vae_score
from vae_core.metrics.disentanglement.dci import dci
from vae_core.metrics.disentanglement.factor_vae import factor_vae_score
from vae_core.metrics.disentanglement.mig import mutual_information_gap
from vae_core.metrics.disentanglement.sap import sap_score

SEEDS = 5
"""So often is a random half of the images scored, to see how far the scores vary."""


def with_spread(
    codes: np.ndarray,
    factors: np.ndarray,
    categorical: Collection[int],
    seeds: int = SEEDS,
    progress: Progress = no_progress,
) -> tuple[dict[str, float], dict[str, float]]:
    """Every score of codes [N, L] for factors [N, F], and the standard deviation of each over
    `seeds` random halves of the images.

    A half varies about the whole by as much as the whole does about the truth.

    Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 8.
    """
    halves = []
    for seed in range(seeds):
        progress("Scoring a random half of the images", seed / (seeds + 1))
        rows = np.random.default_rng(seed).permutation(len(codes))[: len(codes) // 2]
        halves.append(every_score(codes[rows], factors[rows], categorical, seed))
    progress("Scoring all images", seeds / (seeds + 1))
    whole = every_score(codes, factors, categorical)
    return whole, {name: float(np.std([half[name] for half in halves], ddof=1)) for name in whole}


def every_score(
    codes: np.ndarray, factors: np.ndarray, categorical: Collection[int], seed: int = 0
) -> dict[str, float]:
    """All scores by name, each in [0, 1]: codes [N, L], factors int [N, F]."""
    found = dci(codes, factors, categorical, seed)
    return {
        "mig": mutual_information_gap(codes, factors),
        "sap": sap_score(codes, factors, categorical, seed),
        "dci_disentanglement": found.disentanglement,
        "dci_completeness": found.completeness,
        "dci_informativeness": found.informativeness,
        "factor_vae": factor_vae_score(codes, factors, seed),
        "beta_vae": beta_vae_score(codes, factors, seed),
    }
