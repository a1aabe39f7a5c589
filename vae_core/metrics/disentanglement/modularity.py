"""Modularity: does a latent tell of one factor alone?"""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.factors import varied
from vae_core.metrics.disentanglement.information import informations_binned

LEAST = 1e-12
"""Squared nats that are no rounding."""


def modularity(codes: np.ndarray, factors: np.ndarray) -> float:
    """The mean over latents of 1 − Σ_{k ≠ k*} I(z; v_k)² / ((F − 1) · I(z; v_k*)²), with k* the
    factor that a latent tells the most of; 0 for a latent that tells nothing, and 1 where a single
    factor varies. Codes [N, L] are cut into 20 bins of equal width; factors are int64 [N, F].

    Two latents of the same factor are modular both: it says nothing of completeness.

    Source: Ridgeway and Mozer, Learning Deep Disentangled Embeddings with the F-Statistic Loss
    (2018), section 3, equation 2; bins: Locatello et al. (2019), appendix C.
    """
    factors = factors[:, varied(factors)]
    squared = informations_binned(codes, factors) ** 2
    most = squared.max(axis=1)
    others = squared.sum(axis=1) - most
    tells = most > LEAST
    spread = others[tells] / (most[tells] * max(1, factors.shape[1] - 1))
    return float((1 - spread).sum() / len(most))
