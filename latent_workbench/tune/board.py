"""The board: the same pictures of every run, β from left to right, filled in as runs progress."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from latent_workbench.live.loaded import model_of, sliders_of
from latent_workbench.shared.explore_view import PRINCIPAL
from latent_workbench.tune.queue import open_button
from vae_core.errors import UserError
from vae_core.imaging.png import from_png, tile, to_png, untile
from vae_core.runs import Run, layout

PAGE = 8
"""Columns in sight: 56 px and more each at 1280 px."""

LEAST = 6
"""Columns that are laid out for fewer runs, so that pictures do not fill the page."""

ROWS = 5
REACH = 3.0
"""Standard deviations to either side of a traversal."""

NAMES = {
    "samples": "Samples",
    "reconstructions": "Reconstructions",
    "traversal": "Traversal",
}


def board(columns: Sequence[tuple[str, Run | None]]) -> None:
    """One column for each (label, run); a run that has not begun keeps its place.

    Nothing is decoded but traversals, once for each version of the weights.
    """
    head, choice, pages = st.columns([0.5, 3, 1.2], vertical_alignment="center")
    head.markdown("**Board**")
    what = choice.segmented_control(
        "What", list(NAMES), format_func=NAMES.__getitem__, default="samples",
        key="board-what", label_visibility="collapsed",
    )  # fmt: skip
    count = -(-len(columns) // PAGE)
    with pages:
        page = st.pagination(count, key=f"board-page-{count}") if count > 1 else 1
    shown = columns[(page - 1) * PAGE : page * PAGE]
    picture = {"traversal": traversal}.get(what or "samples") or _preview(what or "samples")
    with st.container(key="board"):
        for cell, (label, run) in zip(st.columns(max(len(shown), LEAST)), shown, strict=False):
            with cell:
                _column(label, run, picture)
    st.caption(CAPTIONS[what or "samples"])


CAPTIONS = {
    "samples": "Drawn from the prior: the same z in every column.",
    "reconstructions": "The same unseen images, rebuilt.",
    "traversal": f"Along the strongest principal direction, from −{REACH:g} to {REACH:g} σ.",
}


def _column(label: str, run: Run | None, picture: object) -> None:
    st.markdown(f":small[**{label}**]")
    assert callable(picture)
    png = None if run is None else picture(run)
    if png is None:
        st.html('<div class="board-empty" style="aspect-ratio:1/5;border:1px dashed #8885;'
                'border-radius:6px"></div>')  # fmt: skip
        return
    source = base64.b64encode(png).decode()
    # As wide as the column, pixels crisp.
    st.html(
        f'<img class="board-picture" alt="{run.id if run else ""}" '
        f'src="data:image/png;base64,{source}" '
        'style="width:100%;image-rendering:pixelated;border-radius:4px;display:block">'
    )
    if run is not None:
        open_button(run.id, f"board-open-{run.id}")


def _preview(kind: str) -> object:
    def newest(run: Run) -> bytes | None:
        found = [name for name in run.names(layout.PREVIEWS) if name.endswith(f"-{kind}.png")]
        name = f"{layout.PREVIEWS}/{found[-1]}" if found else ""
        version = run.version(name) if found else None
        return None if version is None else _strip(run.path, name, version)

    return newest


@st.cache_data(max_entries=400, show_spinner=False)
def _strip(path: Path, name: str, version: int) -> bytes:
    """The first images of a strip, one below the other."""
    run = Run(path)
    try:
        shape = run.data_card().image_shape
        images = untile(from_png(run.read(name), shape[0]), *shape[1:], ROWS)
    except (UserError, OSError, ValueError):  # damaged, or of other images
        return to_png(np.zeros((1, 8, 8), np.uint8))
    return to_png(tile(images if len(images) else np.zeros((1, 1, 8, 8), np.uint8), 1))


def traversal(run: Run) -> bytes | None:
    """Pictures along the strongest direction, the middle one the mean; None before the weights."""
    version = run.version(layout.WEIGHTS)
    if version is None or not run.has(layout.ENCODINGS):
        return None
    try:
        return _traversal(run.path, version)
    except UserError:
        return None


@st.cache_data(max_entries=400, show_spinner=False)
def _traversal(path: Path, version: int) -> bytes:
    from vae_core.latent.grids import decode_vectors

    run = Run(path)
    directions = sliders_of(run, PRINCIPAL).directions
    steps = np.linspace(-REACH, REACH, ROWS)[:, None]
    vectors = directions.center + steps * directions.deviations[0] * directions.vectors[0]
    return to_png(tile(decode_vectors(model_of(run), vectors), 1))
