"""Take hold of the latent space: sliders, a map and a picture that follows the hand."""

from __future__ import annotations

import streamlit as st

from latent_workbench.components.explorer import explorer
from latent_workbench.explore.address import take_in_address, write_address
from latent_workbench.explore.direction_picker import direction_picker
from latent_workbench.live.loaded import model_of
from latent_workbench.shared.catalog import companions
from latent_workbench.shared.empty import no_runs
from latent_workbench.shared.state import app_state, sound_run
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.runs import Run, Store


@st.fragment
def panel(run: Run, beside: Run | None, slot: str = "", linked: bool = False) -> None:
    """One explorer with the choice of its directions; a release reruns this part alone."""
    shown = beside if slot and beside is not None else run
    try:
        direction_picker(shown, slot, compact=beside is not None)
        explorer(shown, "full", panel=slot, linked=linked)
        if note := model_of(shown).latent_note:
            st.caption(note)
    except UserError as error:
        st.warning(without_paths(error))
    write_address(run, beside)


def choose_beside(run: Run) -> Run | None:
    """The run to compare with, if one is wanted."""
    state, others = app_state(), [each.id for each in companions(run)]
    if not others:
        return None
    key = f"beside-{run.id}"
    st.session_state[key] = state.beside if state.beside in others else None

    def choose() -> None:
        state.beside = st.session_state[key]

    beside = st.selectbox(
        "Compare with",
        others,
        key=key,
        on_change=choose,
        placeholder="Compare with another run",
        label_visibility="collapsed",
        help="A second run on the same data, with sliders of its own.",
    )
    return None if beside is None else Store().get(beside)


def page(run: Run) -> None:
    """Draw one explorer, or two of them side by side."""
    state = app_state()
    try:
        take_in_address(run)
    except UserError as error:
        state.link_problem = without_paths(error)
    if state.link_problem:
        st.warning(state.link_problem)
    title, link, choice = st.columns([2, 1.2, 1], vertical_alignment="center")
    title.title(f"Explore {run.id}")
    with choice:
        beside = choose_beside(run)
    if beside is None:
        panel(run, None)
        return
    linked = link.toggle(
        "Start both from the same image",
        value=True,
        help="An image, upload or drawing that you start one side from is encoded by both runs.",
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(run.id)
        panel(run, beside, linked=linked)
    with right:
        st.subheader(beside.id)
        panel(run, beside, slot="-beside", linked=linked)


current = sound_run()
if current is None:
    no_runs("take hold of its latent space")
else:
    page(current)
