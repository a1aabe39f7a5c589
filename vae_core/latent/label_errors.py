"""Images whose neighbours have another label: likely mislabelled, or hard to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.latent.neighbours import Neighbours

CLEAR = 0.5
"""The margin from which an image is likely mislabelled; below, it is hard to tell as often."""


@dataclass(frozen=True)
class LabelErrors:
    """Of N images with labels those that neighbours disagree with, the clearest first.

    rows: int64 [M], places of the images. suggested: int64 [M], the label of most neighbours.
    margin: float32 [M] in (0, 1], the share of neighbours with that label less the share with the
    image's own.
    """

    rows: np.ndarray
    suggested: np.ndarray
    margin: np.ndarray


def label_errors(neighbours: Neighbours, labels: np.ndarray) -> LabelErrors:
    """Rank images by how clearly their neighbours contradict their label, int64 [N]; −1 is none.

    A neighbour counts by 1 over its class's share, so that rare classes are not outvoted by
    common ones.

    Source: Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels (2021): the normalised margin, with the neighbours' labels as predicted probabilities.
    """
    known = labels >= 0
    classes = int(labels.max(initial=-1)) + 1
    if not known.any() or not neighbours.places.shape[1]:
        none = np.empty(0, np.int64)
        return LabelErrors(none, none, np.empty(0, np.float32))
    weight = np.zeros(classes + 1)
    weight[:classes] = 1 / np.maximum(np.bincount(labels[known], minlength=classes), 1)
    votes = np.zeros((len(labels), classes + 1))
    of_neighbours = np.where(known, labels, classes)[neighbours.places]
    np.add.at(votes, (np.arange(len(labels))[:, None], of_neighbours), weight[of_neighbours])
    votes = votes[:, :classes] / np.maximum(votes.sum(axis=1, keepdims=True), 1e-300)
    suggested = votes.argmax(axis=1)
    own = np.where(known, labels, 0)
    margin = votes.max(axis=1) - votes[np.arange(len(labels)), own]
    rows = np.flatnonzero(known & (margin > 0))
    rows = rows[np.argsort(-margin[rows], kind="stable")]
    return LabelErrors(rows, suggested[rows].astype(np.int64), margin[rows].astype(np.float32))
