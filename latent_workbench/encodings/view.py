"""What the points are drawn over: directions of the latent space, or a map; flat or in space."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.components.axes import all_axes, plain
from latent_workbench.encodings.shown import Shown

DIRECTIONS = "Directions"
MAPS = {"t-SNE": "tsne", "UMAP": "umap"}
STACKED = "images stacked up"
FLAT = "none, flat"


@dataclass(frozen=True)
class View:
    """kind: directions or a map. axes: the names of one to three directions; one alone is stacked
    up. dimensions: 2, or 3 to be turned by hand."""

    kind: str
    axes: tuple[str, ...] = ()
    dimensions: int = 2


def choose_view(shown: Shown) -> View:
    """Draw the controls, in one row."""
    kind, first, second, third = st.columns([1.5, 1, 1, 1], vertical_alignment="bottom")
    view = kind.segmented_control(
        "Axes", [DIRECTIONS, *MAPS], default=DIRECTIONS, required=True, key="encodings-view",
        help="Directions keep distances, and any point of them can be decoded. Maps keep "
        "neighbours together: sizes of groups and gaps between them mean little.",
    )  # fmt: skip
    if view != DIRECTIONS:
        spatial = first.segmented_control(
            "Dimensions", [2, 3], default=2, required=True, key="encodings-map-dimensions",
            format_func="{}-D".format, help="In 3-D, drag to turn the points.",
        )  # fmt: skip
        return View(view, dimensions=spatial)
    return _directions(shown, first, second, third)


def _directions(
    shown: Shown, first: DeltaGenerator, second: DeltaGenerator, third: DeltaGenerator
) -> View:
    names = [*all_axes(shown.run)]
    alone = shown.survey.mu.shape[1] == 1
    start = STACKED if alone else names[min(1, len(names) - 1)]
    across = _choice(first, "Across", names, "encodings-x", names[0])
    upwards = _choice(second, "Upwards", [*names, STACKED], "encodings-y", start)
    if upwards in (STACKED, across):
        return View(DIRECTIONS, (across,))
    left = [name for name in names if name not in (across, upwards)]
    depth = _choice(third, "Depth", [FLAT, *left], "encodings-z", FLAT)
    if depth == FLAT:
        return View(DIRECTIONS, (across, upwards))
    return View(DIRECTIONS, (across, upwards, depth), 3)


def _choice(place: DeltaGenerator, label: str, names: list[str], key: str, start: str) -> str:
    if st.session_state.get(key) not in names:  # another run may not have the axis
        st.session_state[key] = start
    chosen = place.selectbox(label, names, key=key, format_func=plain)
    assert chosen is not None
    return chosen
