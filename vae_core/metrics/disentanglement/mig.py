"""The mutual information gap."""

from __future__ import annotations

import numpy as np

from vae_core.metrics.disentanglement.groups import varied

BINS = 20
"""Cuts of a continuous code: Locatello et al., Challenging Common Assumptions (2019)."""


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """By how much the best latent tells more of a factor than the second best does.

    MIG = 1/F · Σ_k (I(z_j₁; v_k) − I(z_j₂; v_k)) / H(v_k), the mean over factors that vary. A code
    that takes no more values than a factor does is taken by its values, any other is cut into bins
    of equal width: in 20 bins the 40 orientations of a sprite would tell less than they do. What
    independent codes would seem to tell by chance, E[I] ≈ (|z| − 1)(|v| − 1) / 2N nats, is taken
    off I and H: with 2000 images and factors of 40 and 32 values it is 0.3 nats, a tenth of H.

    Args:
        codes: [N, L]. factors: int [N, F].

    Returns:
        In [0, 1]; a single latent has nothing beside it, so its gap is all that it tells.

    Raises:
        UserError: when no factor varies.

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), equation 6; chance:
    Vinh, Epps and Bailey, Information Theoretic Measures for Clusterings Comparison (2010).
    """
    told = np.array([informations(column, factors, bins) for column in codes.T])
    return float(np.mean(gaps(told)))


def gaps(scores: np.ndarray) -> np.ndarray:
    """The best score of every factor less the second best, [L, F] → [F]; a lone latent's all."""
    ordered = np.sort(np.concatenate([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    difference: np.ndarray = ordered[-1] - ordered[-2]
    return difference


def informations(code: np.ndarray, factors: np.ndarray, bins: int = BINS) -> np.ndarray:
    """I(z; v)/H(v) beyond chance of one latent [N] and each factor that varies, in [0, 1]."""
    factors = factors[:, varied(factors)]
    cut = discrete(code, max(len(np.unique(v)) for v in factors.T), bins)
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


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) = H(a) + H(b) − H(a, b) in nats, of two rows of integers [N]."""
    both = np.unique(np.stack([a, b]), axis=1, return_inverse=True)[1]
    return max(0.0, entropy(a) + entropy(b) - entropy(both.ravel()))


def expected_information(a: np.ndarray, b: np.ndarray) -> float:
    """The mean of I(a; b) in nats over all orders of b: what is told by chance, exactly."""
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    table = contingency_matrix(a, b, sparse=True).astype(np.int64)
    return float(expected_mutual_information(table, len(a)))


def entropy(values: np.ndarray) -> float:
    """H in nats of the integers [N] as they occur."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log(shares)).sum())


def discrete(code: np.ndarray, few: int, bins: int = BINS) -> np.ndarray:
    """A code [N] as integers: which of its values where they are no more than `few`, else which of
    `bins` of equal width."""
    values, which = np.unique(code, return_inverse=True)
    if len(values) <= few:
        return which.ravel()
    return np.digitize(code, np.histogram_bin_edges(code, bins)[1:-1])
