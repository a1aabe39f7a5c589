"""Sheets of pictures, decoded once, and the controls that several kinds of them have."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.models import weights_version
from latent_workbench.live.resources import encodings_of, model_of
from latent_workbench.shared.state import session
from vae_core.imaging.png import tile
from vae_core.names import readable, shortened
from vae_core.runs import Run

CHUNK = 128
QUIET_S = 0.5
MOST_CACHED = 8
LONGEST_NAME = 60
"""Characters of a file's name in a field; it is found by any of them."""


@dataclass(frozen=True)
class Sheet:
    """Pictures uint8 [R, C, channels, H, W] in rows and columns, with their names.

    run: whose latent space it is.
    row_titles, column_titles: what names say when they are pointed at, where that is more.
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
    row_titles: Sequence[str] = ()
    column_titles: Sequence[str] = ()
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


@dataclass
class GridsState:
    """seeds: of what is drawn at random, by the kind of sheet. decoded: the pictures last decoded,
    by weights and vectors."""

    seeds: dict[str, int] = field(default_factory=dict)
    decoded: dict[object, np.ndarray] = field(default_factory=dict)


def decoded(run: Run, vectors: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The pictures of latents [..., D]: uint8 [..., C, H, W]; a bar shows once it takes long.

    Args:
        labels: [...], which a conditional model is told; None for unknown ones.
    """
    from vae_core.latent.grids import decode_vectors

    version = (str(run.path), weights_version(run))
    of_labels = b"" if labels is None else labels.tobytes()
    key = (*version, hashlib.sha256(vectors.tobytes() + of_labels).hexdigest())
    cache = session(GridsState).decoded
    if key not in cache:
        model, flat = model_of(run), vectors.reshape(-1, vectors.shape[-1])
        parts, began, place = [], time.monotonic(), st.empty()
        for start in range(0, len(flat), CHUNK):
            here = slice(start, start + CHUNK)
            conditions = None if labels is None else labels.reshape(-1)[here]
            parts.append(decode_vectors(model, flat[here], conditions))
            if time.monotonic() - began > QUIET_S:
                place.progress(min(1.0, (start + CHUNK) / len(flat)), "Decoding the pictures")
        place.empty()
        cache[key] = np.concatenate(parts)
        while len(cache) > MOST_CACHED:
            cache.pop(next(iter(cache)))
    found = cache[key]
    return found.reshape(*vectors.shape[:-1], *found.shape[1:])


def ticks(values: np.ndarray) -> list[str]:
    """Steps along an axis as names of rows or columns, one length for all."""
    return [f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−") for value in values]


def draw_again(place: DeltaGenerator, kind: str, **options: Any) -> int:
    """A button that draws others; the seed of what is drawn now, for each kind of sheet one."""
    seeds = session(GridsState).seeds
    if place.button("Draw again", icon=":material/casino:", key=f"{kind}-again", **options):
        seeds[kind] = seeds.get(kind, 0) + 1
    return seeds.get(kind, 0)


def image_number(
    run: Run, place: DeltaGenerator, label: str, *, key: str, placeholder: str, help: str
) -> int | None:
    """A field for an encoded image, by the name of its file or its number, counted from 1; None
    where it is empty.

    Raises:
        UserError: when the encodings are damaged.
    """
    encodings = encodings_of(run)
    count = len(encodings.mu) if encodings is not None else 1
    files = encodings.files if encodings is not None else ()
    look = {"placeholder": placeholder, "disabled": encodings is None, "help": help}
    return choose_image(place, label, count, files, key=key, **look)


def choose_image(
    place: DeltaGenerator, label: str, count: int, files: Sequence[str], *, key: str, **look: Any
) -> int | None:
    """A field for one of `count` images, by the name of its file where they have some, else by its
    number; counted from 1, None where it is empty."""
    if not files:
        number = place.number_input(label, 1, count, None, key=key, **look)
        return None if number is None else int(number)
    chosen = place.selectbox(
        label, range(1, count + 1), None, key=key,
        format_func=lambda number: shortened(readable(files[number - 1]), LONGEST_NAME), **look,
    )  # fmt: skip
    return None if chosen is None else int(chosen)
