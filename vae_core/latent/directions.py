"""Directions through the latent space along which sliders move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Directions:
    """K directions in a D-dimensional latent space.

    center: [D], where all sliders at zero lead.
    vectors: [K, D], unit rows.
    deviations: [K], the standard deviation of the encodings along each: a slider's unit.
    explained: [K], the share of the encodings' variance along each, in [0, 1].
    """

    center: np.ndarray
    vectors: np.ndarray
    deviations: np.ndarray
    explained: np.ndarray


def principal_directions(mu: np.ndarray) -> Directions:
    """Principal components of encodings mu [N, D], the largest variance first; K = min(N, D).

    The sign of a component is fixed (its largest entry is positive), so that a slider does not
    swap its ends from one fit to the next.

    Source: Härkönen et al., GANSpace (2020), section 2, for PCA as the source of sliders whose
    unit is one standard deviation.
    """
    # The covariance is D×D: for many encodings this is ten times as fast as a full SVD, and
    # numpy alone spares the app's first page the seconds that importing a PCA would take.
    center = mu.mean(axis=0, dtype=np.float64)
    centered = mu.astype(np.float64) - center
    covariance = centered.T @ centered / max(len(mu) - 1, 1)
    variance, columns = np.linalg.eigh(covariance)
    order = np.argsort(-variance)[: min(mu.shape)]
    variance, vectors = np.maximum(variance[order], 0.0), columns.T[order]
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    explained = variance / max(variance.sum(), np.finfo(np.float64).tiny)
    parts = (center, vectors, np.sqrt(variance), explained)
    return Directions(*(part.astype(np.float32) for part in parts))


def latent_axes(mu: np.ndarray, order: np.ndarray | None = None) -> Directions:
    """The raw latent dimensions of mu [N, D], in `order` [K] or the largest variance first."""
    variance = mu.var(axis=0)
    order = np.argsort(-variance) if order is None else order
    vectors = np.eye(mu.shape[1], dtype=np.float32)[order]
    explained = variance[order] / max(variance.sum(), np.finfo(np.float32).tiny)
    parts = (mu.mean(axis=0), vectors, np.sqrt(variance[order]), explained)
    return Directions(*(np.asarray(part, np.float32) for part in parts))


def prior_axes(latent_size: int) -> Directions:
    """The raw latent dimensions in units of the prior N(0, 1), where no encodings are known."""
    return Directions(
        np.zeros(latent_size, np.float32),
        np.eye(latent_size, dtype=np.float32),
        np.ones(latent_size, np.float32),
        np.full(latent_size, 1.0 / latent_size, np.float32),
    )
