"""The board: the same pictures of every run, β from left to right, filled in as runs progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from latent_workbench.live.resources import model_of, sliders_of
from latent_workbench.shared.explore_view import PRINCIPAL
from latent_workbench.shared.inputs import page_of
from latent_workbench.shared.pictures import wide_picture
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

CAPTIONS = {
    "samples": "Drawn from the prior: the same z in every column.",
    "reconstructions": "The same unseen images, rebuilt.",
    "traversal": f"Along the strongest principal direction, from −{REACH:g} to {REACH:g} σ.",
}


def board(columns: Sequence[tuple[str, Run | None]]) -> None:
    """One column for each (label, run); a run that has not begun keeps its place.

    Nothing is decoded but traversals, once for each version of the weights.
    """
    head, choice, pages = st.columns([0.5, 3, 1.2], vertical_alignment="center")
    head.markdown("**Board**")
    what = choice.segmented_control(
        "What", list(CAPTIONS), format_func=str.capitalize, default="samples",
        key="board-what", label_visibility="collapsed",
    ) or "samples"  # fmt: skip
    with pages:
        shown = page_of(columns, PAGE, "board-page")
    with st.container(key="board"):
        for cell, (label, run) in zip(st.columns(max(len(shown), LEAST)), shown, strict=False):
            with cell:
                _column(label, run, what)
    st.caption(CAPTIONS[what])


def _column(label: str, run: Run | None, what: str) -> None:
    st.markdown(f":small[**{label}**]")
    png = None
    if run is not None:
        png = traversal(run) if what == "traversal" else preview(run, what)
    if run is None or png is None:
        st.html('<div class="board-empty" style="aspect-ratio:1/5;border:1px dashed #8885;'
                'border-radius:6px"></div>')  # fmt: skip
        return
    wide_picture(png, "board-picture", run.id)
    open_button(run.id, f"board-open-{run.id}")


def preview(run: Run, kind: str) -> bytes | None:
    """The newest pictures of `kind` that the training drew; None before there are any."""
    found = [name for name in run.names(layout.PREVIEWS) if name.endswith(f"-{kind}.png")]
    name = f"{layout.PREVIEWS}/{found[-1]}" if found else ""
    version = run.version(name) if found else None
    return None if version is None else _strip(run.path, name, version)


@st.cache_data(max_entries=400, show_spinner=False)
def _strip(path: Path, name: str, version: int) -> bytes:
    """The first images of a strip, one below the other."""
    run, blank = Run(path), np.zeros((1, 1, 8, 8), np.uint8)
    try:
        shape = run.data_card().image_shape
        images = untile(from_png(run.read(name), shape[0]), *shape[1:], ROWS)
    except (UserError, OSError, ValueError):  # damaged, or of other images
        images = blank
    return to_png(tile(images if len(images) else blank, 1))


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
