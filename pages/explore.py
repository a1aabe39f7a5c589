"""Take hold of the latent space: sliders, a map and a picture that follows the hand."""

from __future__ import annotations

import streamlit as st

from latent_workbench.components.explorer import explorer
from latent_workbench.encodings.search import like_this
from latent_workbench.explore.address import read_address, write_address
from latent_workbench.explore.direction_picker import direction_picker
from latent_workbench.explore.html_file import html_file
from latent_workbench.live.resources import model_of
from latent_workbench.shared.catalog import companions
from latent_workbench.shared.current_run import with_current_run
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.state import app_state
from vae_core.errors import UserError
from vae_core.runs import Run, Store


@st.fragment
def panel(run: Run, other: Run | None, slot: str = "", linked: bool = False) -> None:
    """One explorer with the choice of its directions; a release reruns this part alone."""
    shown = other if slot and other is not None else run
    with errors_shown(st.warning):
        direction_picker(shown, slot, compact=other is not None)
        explorer(shown, "full", panel=slot, linked=linked)
        if note := model_of(shown).latent_note:
            st.caption(note)
        like_this(shown, slot)
    write_address(run, other)


def choose_other(run: Run) -> Run | None:
    """The run to compare with, if one is wanted."""
    state, others = app_state(), [each.id for each in companions(run)]
    if not others:
        return None
    key = f"beside-{run.id}"
    st.session_state[key] = state.compare if state.compare in others else None

    def choose() -> None:
        state.compare = st.session_state[key]

    other = st.selectbox(
        "Compare with",
        others,
        key=key,
        on_change=choose,
        placeholder="Compare with another run",
        label_visibility="collapsed",
        help="A second run on the same data, with sliders of its own.",
    )
    return None if other is None else Store().get(other)


def page(run: Run) -> None:
    """Draw one explorer, or two of them side by side."""
    state = app_state()
    try:
        read_address(run)
    except UserError as error:
        state.link_problem = redact(error)
    if state.link_problem:
        st.warning(state.link_problem)
    title, link, choice = st.columns([2, 1.2, 1], vertical_alignment="center")
    title.title(f"Explore {run.id}")
    with choice:
        other = choose_other(run)
    if other is None:
        html_file(run, link)
        panel(run, None)
        return
    linked = link.toggle(
        "Start both from the same image",
        value=True,
        help="An image, upload or drawing that you start one side from is encoded by both runs.",
    )
    for place, shown, slot in zip(
        st.columns(2, gap="medium"), (run, other), ("", "-beside"), strict=True
    ):
        with place:
            st.subheader(shown.id)
            panel(run, other, slot=slot, linked=linked)


with_current_run(page, "take hold of its latent space")
