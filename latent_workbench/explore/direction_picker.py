"""Which directions the sliders follow, and the ones that you keep under a name."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from latent_workbench.components.explorer.direction_sets import (
    DIRECTION_SETS,
    label_name,
    meaning,
    offered,
    sliders_for,
)
from latent_workbench.live.resources import encodings_of
from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.explore_view import CLASSES, LOCAL, MOST_NEIGHBOURS, View
from latent_workbench.shared.state import app_state, rerun_fragment
from vae_core.errors import UserError
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.encodings import Encodings

MEAN, PATH = "From the mean to here", "From A to B"


def direction_picker(run: Run, slot: str, compact: bool = False) -> None:
    """Draw the choice of directions of one explorer; `slot` tells several of a page apart,
    `compact` leaves out what an icon says as well. Raises UserError without sound weights."""
    encodings = encodings_of(run)
    kinds = offered(run, encodings)
    view = app_state().views.setdefault(run.id, View())
    key = f"directions{slot}-{run.id}"
    # The widget follows the view: links and undo change it too.
    st.session_state[key] = view.kind if view.kind in kinds else kinds[0]

    def choose() -> None:
        kind = st.session_state[key]
        at = app_state().views.get(run.id, View()).z if kind == LOCAL else None
        _follow(run, kind=kind, at=at, shown=None)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.segmented_control(
            "Directions",
            kinds,
            format_func=lambda kind: DIRECTION_SETS[kind].label,
            required=True,
            key=key,
            on_change=choose,
            label_visibility="collapsed",
            help=meaning(st.session_state[key], encodings),
        )
        if view.kind == LOCAL and encodings is not None:
            _neighbourhood(run, slot, len(encodings.mu))
        if view.kind == CLASSES and encodings is not None and encodings.labels is not None:
            _from_label(run, slot, encodings, np.unique(encodings.labels).tolist())
        if encodings is not None:
            label = "" if compact else "Keep"
            with st.popover(label, icon=":material/bookmark:", help="Save a direction by name"):
                _save(run, slot)


def _follow(run: Run, **changes: Any) -> None:
    """Let the sliders follow other directions, all of them at 0."""
    views = app_state().views
    views[run.id] = replace(views.get(run.id, View()), values=None, base=None, **changes)


def _neighbourhood(run: Run, slot: str, most: int) -> None:
    def refit() -> None:
        _follow(run, neighbours=int(st.session_state[key]), at=app_state().views[run.id].z)

    key = f"neighbours{slot}-{run.id}"
    st.session_state[key] = min(app_state().views[run.id].neighbours, most)
    st.number_input(
        "Neighbours",
        2,
        min(most, MOST_NEIGHBOURS),
        step=50,
        key=key,
        on_change=refit,
        width=150,
        label_visibility="collapsed",
        help="How many encodings nearest to you the directions are fitted to.",
    )
    if st.button(
        "Fit here",
        key=f"refit{slot}-{run.id}",
        help="Fit the local directions again to the neighbours of the present point.",
    ):
        refit()
        rerun_fragment()


def _from_label(run: Run, slot: str, encodings: Encodings, labels: list[int]) -> None:
    view = app_state().views[run.id]
    if view.label not in labels:
        view = app_state().views[run.id] = replace(view, label=labels[0])
    key = f"source{slot}-{run.id}"
    st.session_state[key] = view.label
    st.selectbox(
        "From",
        labels,
        format_func=lambda label: f"from {label_name(encodings, label)}",
        key=key,
        on_change=lambda: _follow(run, label=st.session_state[key]),
        width=150,
        label_visibility="collapsed",
        help="The label from whose mean the directions lead to the others.",
    )


def _save(run: Run, slot: str) -> None:
    from vae_core.latent.saved import forget_direction, load_saved, save_direction

    view = app_state().views[run.id]
    sliders = sliders_for(run, view)
    names = sliders.names[: len(sliders.directions.vectors)]
    ways = [MEAN, PATH, *(f"Direction {name}" for name in names)]
    with st.form(f"keep{slot}-{run.id}", border=False, clear_on_submit=True):
        way = st.selectbox("Direction", ways)
        name = st.text_input("Name", max_chars=40, placeholder="thicker")
        if st.form_submit_button("Save", type="primary", **access.widget_options()):
            with errors_shown():
                access.authorized(save_direction)(run, name, _vector(run, view, ways.index(way)))
                st.success(f"Kept. Choose “Saved” to drag along {name.strip()}.")
    with errors_shown():
        saved = [each.name for each in load_saved(run)]
        gone = st.selectbox("Kept directions", saved, key=f"kept{slot}-{run.id}") if saved else None
        if gone is not None and st.button(
            "Remove", key=f"forget{slot}-{run.id}", icon=":material/delete:",
            **access.widget_options(),
        ):  # fmt: skip
            access.authorized(forget_direction)(run, gone)
            rerun_fragment()


def _vector(run: Run, view: View, way: int) -> np.ndarray:
    """What the choice number `way` of `_save` stands for: a vector [D]."""
    if way >= 2:
        return sliders_for(run, view).directions.vectors[way - 2]
    if way == 1:
        ends = app_state().ends.get(run.id, [None, None])
        if None in ends:
            raise UserError("Take a point as A and another one as B first, beside the map.")
        a, b = (np.frombuffer(base64.b64decode(end or ""), "<f4") for end in ends)
        return b - a
    encodings = encodings_of(run)
    assert encodings is not None
    mean = encodings.mu.mean(axis=0)
    return mean - mean if view.z is None else np.frombuffer(view.z, "<f4") - mean
