"""The mutual information gap of codes that are binned."""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.factors import varied
from vae_core.metrics.disentanglement.information import (
    discrete,
    entropy,
    expected_information,
    informations_binned,
    mutual_information,
)


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """By how much the best latent tells more of a factor than the second best does.

    MIG = 1/F · Σ_k (I(z_j₁; v_k) − I(z_j₂; v_k)) / H(v_k), the mean over factors that vary. A code
    that takes no more values than a factor does is taken by its values, any other is cut into bins
    of equal width: in 20 bins the 40 orientations of a sprite would tell less than they do. What
    independent codes would seem to tell by chance, E[I] ≈ (|z| − 1)(|v| − 1) / 2N nats, is taken
    off I and H: with 2000 images and factors of 40 and 32 values it is 0.3 nats, a tenth of H.
    A single latent has nothing beside it, so its gap is all that it tells.

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), equation 6; chance:
    Vinh, Epps and Bailey, Information Theoretic Measures for Clusterings Comparison (2010).
    """
    told = np.array([informations(column, factors) for column in codes.T])
    return float(np.mean(gaps(told)))


def gaps(scores: np.ndarray) -> np.ndarray:
    """The best score of every factor less the second best, [L, F] → [F]; a lone latent's all."""
    second, best = np.sort(np.vstack([scores, np.zeros(scores.shape[1])]), axis=0)[-2:]
    return best - second


def informations(code: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """I(z; v)/H(v) beyond chance of one latent [N] and each factor that varies, in [0, 1]."""
    factors = factors[:, varied(factors)]
    cut = discrete(code, max(len(np.unique(v)) for v in factors.T))
    if np.ptp(cut) == 0:
        return np.zeros(factors.shape[1])
    shares = []
    for v in factors.T:
        chance = expected_information(cut, v)
        known, whole = mutual_information(cut, v), entropy(v)
        # A factor that never repeats is told by chance as much as by itself.
        share = (known - chance) / (whole - chance) if whole - chance > 1e-9 else 0.0
        shares.append(min(1.0, max(0.0, share)))
    return np.array(shares)


def binned_gaps(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The gap of each factor that varies, [≤ F], as Locatello et al. (2019), appendix C, measure
    it: every code in 20 bins of equal width, and nothing taken off for chance. MIG is their mean.
    """
    factors = factors[:, varied(factors)]
    told = gaps(informations_binned(codes, factors))
    return told / np.array([entropy(v) for v in factors.T])
