"""What two rows of integers tell of each other, in nats, and how a code becomes integers."""

from __future__ import annotations

import numpy as np

BINS = 20
"""Cuts of a continuous code: Locatello et al., Challenging Common Assumptions (2019)."""


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


def discrete(code: np.ndarray, few: int) -> np.ndarray:
    """A code [N] as integers: which of its values where they are no more than `few`, else which of
    `BINS` of equal width."""
    values, which = np.unique(code, return_inverse=True)
    if len(values) <= few:
        return which.ravel()
    return np.digitize(code, np.histogram_bin_edges(code, BINS)[1:-1])


def binned(codes: np.ndarray) -> np.ndarray:
    """Codes [N, L] as which of `BINS` of equal width each lies in, int64 [N, L]."""
    return np.stack([np.digitize(z, np.histogram_bin_edges(z, BINS)[1:-1]) for z in codes.T], 1)


def informations_binned(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """I(z; v) in nats of every latent, cut into bins, and every factor, [N, L], [N, F] → [L, F]."""
    cut = binned(codes)
    return np.array([[mutual_information(z, v) for v in factors.T] for z in cut.T])
