"""The mutual information gap."""

from __future__ import annotations

import numpy as np

BINS = 20
"""Into so many a code is cut: Locatello et al., Challenging Common Assumptions (2019)."""


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """By how much the best latent tells more of a factor than the second best does.

    MIG = 1/F · Σ_k (I(z_j₁; v_k) − I(z_j₂; v_k)) / H(v_k), the mean over factors; codes are cut
    into bins of equal width. Random codes score about 0.

    Args:
        codes: [N, L] with L ≥ 2. factors: int [N, F].

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018).
    """
    informations = mutual_informations(codes, factors, bins)
    entropies = np.array([entropy(column) for column in factors.T])
    varied = entropies > 0  # a factor that never changes has nothing to tell
    ordered = np.sort(informations[:, varied], axis=0)
    return float(np.mean((ordered[-1] - ordered[-2]) / entropies[varied]))


def mutual_informations(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> np.ndarray:
    """I(z_j; v_k) in nats of every latent and every factor, [L, F]."""
    cut = [_cut(column, bins) for column in codes.T]
    return np.array([[mutual_information(z, v) for v in factors.T] for z in cut])


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) = H(a) + H(b) − H(a, b) in nats, of two rows of integers [N]."""
    both = np.unique(np.stack([a, b]), axis=1, return_inverse=True)[1]
    return max(0.0, entropy(a) + entropy(b) - entropy(both.ravel()))


def entropy(values: np.ndarray) -> float:
    """H in nats of the integers [N] as they occur."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log(shares)).sum())


def _cut(column: np.ndarray, bins: int) -> np.ndarray:
    edges = np.histogram_bin_edges(column, bins)[1:-1]
    return np.digitize(column, edges)
