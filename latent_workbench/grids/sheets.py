"""Sheets of pictures, decoded once and told of while it takes long."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from latent_workbench.live.loaded import model_of
from latent_workbench.live.models import weights_version
from vae_core.imaging.png import tile
from vae_core.runs import Run

CHUNK = 128
PATIENCE_S = 0.5
MOST_KEPT = 8
_KEPT = "grids-decoded"


@dataclass(frozen=True)
class Sheet:
    """Pictures uint8 [R, C, channels, H, W] in rows and columns, with their names.

    run: whose latent space it is.
    vectors: [R, C, D], where each lies in the latent space; None where that makes no sense.
    moving: True where the columns are steps of a movement, to be saved as an animation.
    """

    run: Run
    name: str
    pictures: np.ndarray
    vectors: np.ndarray | None = None
    rows: Sequence[str] = field(default_factory=tuple)
    columns: Sequence[str] = field(default_factory=tuple)
    across: str = ""
    upwards: str = ""
    title: str = ""
    moving: bool = False

    @property
    def row_names(self) -> Sequence[str]:
        return self.rows or [""] * self.pictures.shape[0]

    @property
    def column_names(self) -> Sequence[str]:
        return self.columns or [""] * self.pictures.shape[1]

    def whole(self) -> np.ndarray:
        """All pictures side by side, at full resolution: uint8 [channels, R·H, C·W]."""
        return tile(self.pictures.reshape(-1, *self.pictures.shape[2:]), self.pictures.shape[1])


def decoded(run: Run, vectors: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The pictures of latents [..., D]: uint8 [..., C, H, W]; a bar shows once it takes long.

    Args:
        labels: [...], which a conditional model is told; None for unknown ones.
    """
    from vae_core.latent.grids import decode_vectors

    version = (str(run.path), weights_version(run))
    of_labels = b"" if labels is None else labels.tobytes()
    key = (*version, hashlib.sha256(vectors.tobytes() + of_labels).hexdigest())
    kept: dict[object, np.ndarray] = st.session_state.setdefault(_KEPT, {})
    if key not in kept:
        model, flat = model_of(run), vectors.reshape(-1, vectors.shape[-1])
        parts, began, place = [], time.monotonic(), st.empty()
        for start in range(0, len(flat), CHUNK):
            here = slice(start, start + CHUNK)
            told = None if labels is None else labels.reshape(-1)[here]
            parts.append(decode_vectors(model, flat[here], told))
            if time.monotonic() - began > PATIENCE_S:
                place.progress(min(1.0, (start + CHUNK) / len(flat)), "Decoding the pictures")
        place.empty()
        kept[key] = np.concatenate(parts)
        while len(kept) > MOST_KEPT:
            kept.pop(next(iter(kept)))
    found = kept[key]
    return found.reshape(*vectors.shape[:-1], *found.shape[1:])


def ticks(values: np.ndarray) -> list[str]:
    """Steps along an axis as names of rows or columns, one length for all."""
    return [f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−") for value in values]
