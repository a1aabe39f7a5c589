"""Sliders along directions of the latent space; the picture follows while you drag."""

from __future__ import annotations

import streamlit as st

from ui.components.explorer import explorer
from ui.empty import no_runs
from ui.loaded import PRINCIPAL, PRIOR, RAW, sliders_of
from ui.state import current_run
from vae_core.errors import UserError
from vae_core.runs import Run

KINDS = {PRINCIPAL: "Principal", RAW: "Raw axes"}
MEANING = {
    PRINCIPAL: "Principal directions of the encodings, the largest variance first. "
    "1 σ is one standard deviation of the encodings along a direction; "
    "0 is the mean of all encodings.",
    RAW: "Single latent dimensions, the one that carries most information (KL) first. "
    "1 σ is one standard deviation of the encodings along it.",
    PRIOR: "This run has no cached encodings, so the sliders are raw latent dimensions, "
    "and 1 σ is one standard deviation of the prior.",
}


@st.fragment
def sliders(run: Run) -> None:
    """The explorer and the choice of its directions; a release reruns this part alone."""
    title, choice = st.columns([3, 1], vertical_alignment="center")
    title.title(f"Explore {run.id}")
    kind = choice.segmented_control(
        "Directions",
        list(KINDS),
        format_func=lambda kind: KINDS[kind],
        default=PRINCIPAL,
        required=True,
        key="explore-directions",
        label_visibility="collapsed",
    )
    try:
        explorer(run, kind, "full")
        st.caption(MEANING[sliders_of(run, kind).kind])
    except UserError as error:
        st.warning(str(error))


current = current_run()
if current is None:
    no_runs("take hold of its latent space")
else:
    sliders(current)
