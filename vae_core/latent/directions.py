"""Directions through the latent space along which sliders move."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from safetensors.numpy import save

from vae_core.data import Progress, no_progress
from vae_core.latent.region import Region
from vae_core.runs import Run, Tensors, derived
from vae_core.runs.layout import DIRECTIONS, ENCODINGS

MOST_EXACT = 1024
MOST_DIRECTIONS = 64
"""Of a latent space of thousands of dimensions (spatial, quantised) only so many are found."""


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

    Where both N and D exceed 1024, only the first 64 are found, by random projections: all of
    3000 × 3136 take 27 s of one core, these 1.1 s. The largest entry of a component is positive, so
    that a slider does not swap its ends from one fit to the next.

    Source: Härkönen et al., GANSpace (2020), section 2, for PCA as the source of sliders whose
    unit is one standard deviation; Halko, Martinsson and Tropp, Finding Structure with Randomness
    (2011), algorithm 4.4, for the projections.
    """
    # Not scikit-learn's PCA, which takes two seconds and 140 MB to import.
    n, d = mu.shape
    center = mu.mean(axis=0, dtype=np.float64)
    centred = mu - center
    if min(n, d) > MOST_EXACT:
        from sklearn.utils.extmath import randomized_svd

        _, singular, vectors = randomized_svd(centred, MOST_DIRECTIONS, random_state=0)
        variance = singular**2 / (n - 1)
        total = np.square(centred).sum() / (n - 1)
    elif n > d:  # a fraction of the time: 60 000 × 128 in 0.1 s, not in 1 to 1.7
        # By torch, whose threads share busy cores: 0.2 s where numpy's product takes 0.5.
        rows = torch.from_numpy(centred)
        ascending, columns = np.linalg.eigh((rows.T @ rows).numpy() / (n - 1))
        variance, vectors = np.maximum(ascending[::-1], 0.0), columns.T[::-1]
        total = variance.sum()
    else:
        _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
        variance = singular**2 / max(1, n - 1)
        total = variance.sum()
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    return _directions(center, vectors, variance, total)


def latent_axes(mu: np.ndarray, order: np.ndarray | None = None) -> Directions:
    """The raw latent dimensions of mu [N, D], in `order` [K] or the largest variance first: the
    first 64 of them."""
    variance = mu.var(axis=0)
    order = (np.argsort(-variance) if order is None else order)[:MOST_DIRECTIONS]
    vectors = np.zeros((len(order), mu.shape[1]), np.float32)
    vectors[np.arange(len(order)), order] = 1
    return _directions(mu.mean(axis=0), vectors, variance[order], variance.sum())


def measured_directions(mu: np.ndarray, vectors: np.ndarray) -> Directions:
    """Any `vectors` [K, D] but zero, at length 1, from the mean of mu [N, D], in units of how much
    mu varies along them."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    along = (mu @ unit.T).var(axis=0)
    return _directions(mu.mean(axis=0), unit, along, mu.var(axis=0).sum())


def local_directions(region: Region, z: np.ndarray, neighbours: int) -> Directions:
    """In which ways pictures like that of z [D] vary: from z, the principal directions of the
    `neighbours` encodings of `region` nearest to it.

    Source: Li et al., LatentGandr (2026), arXiv:2604.19953, for local components as sliders.
    """
    nearest, _ = region.nearest(z, neighbours)
    return replace(principal_directions(region.mu[nearest]), center=z.astype(np.float32))


def class_directions(
    mu: np.ndarray, labels: np.ndarray, source: int
) -> tuple[Directions, list[int]]:
    """From the mean encoding of label `source` to that of every other label, the nearest first.

    mu [N, D] with labels [N]; the labels [K] that the directions lead to come second. Where two
    means are the same there is no direction, and the label is left out.

    Source: Larsen et al., Autoencoding beyond pixels using a learned similarity metric (2016):
    attribute vectors.
    """
    start = mu[labels == source].mean(axis=0, dtype=np.float64)
    others = np.unique(labels[labels != source])
    ends = [mu[labels == label].mean(axis=0, dtype=np.float64) for label in others]
    ways = np.reshape(ends, (-1, mu.shape[1])) - start
    lengths = np.array([np.linalg.norm(way) for way in ways])
    nearest_first = np.argsort(lengths, kind="stable")
    chosen = nearest_first[lengths[nearest_first] > 0]
    found = measured_directions(mu, ways[chosen])
    return replace(found, center=start.astype(np.float32)), others[chosen].tolist()


def _directions(
    center: np.ndarray, vectors: np.ndarray, variance: np.ndarray, total: float
) -> Directions:
    """Directions from the variance of the encodings along each, and in `total`."""
    explained = variance / max(total, np.finfo(np.float64).tiny)
    parts = (center, vectors, np.sqrt(variance), explained)
    return Directions(*(np.ascontiguousarray(part, np.float32) for part in parts))


def regressed_directions(z: np.ndarray, features: np.ndarray) -> Directions:
    """In which ways pictures vary whose latents z [N, D] were drawn: the principal components of
    their `features` [N, F], each led back to the latents that explain it.

    A least-squares fit of z to the coordinates of features gives a vector for each component. As
    coordinates are uncorrelated, it is the mean of z weighted by them. Vectors are made orthogonal
    in their order, as the map of the first two measures in them; `explained` is the share of the
    features' variance.

    Source: Härkönen et al., GANSpace (2020), section 2.2 (BigGAN), with pictures in place of the
    activations of an early layer, as a network that is run as it came shows no others.
    """
    # As float64: what a component has of z is a small difference of large sums.
    inner = principal_directions(features)
    k = min(MOST_DIRECTIONS, z.shape[1], len(inner.vectors))
    moving = inner.deviations[:k] > inner.deviations[0] * 1e-6  # the others are rounding
    coordinates = (features - inner.center) @ inner.vectors[:k][moving].T
    centred = z - z.mean(axis=0, dtype=np.float64)
    unit, upper = np.linalg.qr(centred.T.astype(np.float64) @ coordinates)
    vectors = unit.T * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]
    found = measured_directions(z, vectors)
    return replace(found, explained=inner.explained[:k][moving])


def prior_axes(latent_size: int) -> Directions:
    """The first 64 raw latent dimensions in units of the prior N(0, 1), where no encodings are
    known."""
    k = min(latent_size, MOST_DIRECTIONS)
    return Directions(
        np.zeros(latent_size, np.float32),
        np.eye(k, latent_size, dtype=np.float32),
        np.ones(k, np.float32),
        np.full(k, 1.0 / latent_size, np.float32),
    )


def save_directions(run: Run, mu: np.ndarray, step: int, progress: Progress = no_progress) -> None:
    """Fit the principal directions of the encodings mu [N, D] that a run has of the checkpoint of
    `step`, and keep them where they can be kept."""
    progress("Finding the directions", None)
    made_of = {"step": str(step), "of": derived.fingerprint(run, ENCODINGS)}
    derived.keep(run, DIRECTIONS, asdict(principal_directions(mu)), made_of)


def write_directions(run: Run, directions: Directions, step: int) -> None:
    """Put directions into the run itself, for the encodings that it has of the checkpoint of
    `step`: those that cannot be made again from its encodings alone. Raises as
    `Run.write_bytes`."""
    made_of = {"step": str(step), "of": derived.fingerprint(run, ENCODINGS)}
    arrays = {name: np.ascontiguousarray(each) for name, each in asdict(directions).items()}
    run.write_bytes(DIRECTIONS, save(arrays, made_of))


def load_directions(run: Run, step: int, size: int | None = None) -> Directions | None:
    """The principal directions kept with the checkpoint of `step`, of the encodings that the run
    has now and of a latent space of `size` dimensions where that is given; None where none are
    usable."""
    made_of = {"step": str(step), "of": derived.fingerprint(run, ENCODINGS)}

    def read(file: Tensors) -> Directions | None:
        # Earlier versions did not keep which encodings they were of.
        if made_of != {"of": made_of["of"]} | file.metadata:
            return None
        k, d = file.require("vectors", "F32", (None, None)).shape
        shapes = {"center": (d,), "vectors": (k, d), "deviations": (k,), "explained": (k,)}
        found = {name: file.array(name, "F32", shape) for name, shape in shapes.items()}
        finite = all(np.isfinite(each).all() for each in found.values())
        return Directions(**found) if k > 0 and size in (None, d) and finite else None

    return derived.find(run, DIRECTIONS, read)
