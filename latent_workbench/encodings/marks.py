"""Other images that are shown among the points: those that a tab looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from latent_workbench.components.scatter import Marks
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.plane import Plane
from latent_workbench.shared.state import session

MOST = 300
"""Rings that are drawn: more would hide the points, and each is an element of the page."""


@dataclass(frozen=True)
class Marked:
    """Encodings float32 [M, D] of other images, with their names; `picked` is the row looked at."""

    mu: np.ndarray
    names: Sequence[str]
    picked: int


@dataclass
class MarkedImages:
    """What this session shows among the points, by run."""

    of: dict[str, Marked] = field(default_factory=dict)


def mark(run_id: str, marked: Marked | None) -> bool:
    """Show these among the points of a run from the next run of the page on, or none; True where
    that is something else than is shown now."""
    of = session(MarkedImages).of
    before = of.pop(run_id, None)
    if marked is not None:
        of[run_id] = marked
    if before is None or marked is None:
        return before is not marked
    same = before.names == marked.names and np.array_equal(before.mu, marked.mu)
    return not same or before.picked != marked.picked


def marks_on(encoded: EncodedImages, plane: Plane) -> Marks | None:
    """Where they stand on a plane."""
    marked = session(MarkedImages).of.get(encoded.run.id)
    if marked is None or plane.project is None:
        return None
    if marked.mu.shape[1] != encoded.survey.mu.shape[1]:  # the run was trained anew
        return None
    rows = np.unique(np.append(np.arange(min(MOST, len(marked.mu))), max(0, marked.picked)))
    picked = int(np.searchsorted(rows, marked.picked)) if marked.picked >= 0 else -1
    places = plane.project(marked.mu[rows]).astype(np.float32)
    return Marks(places, [marked.names[int(row)] for row in rows], picked)
