"""Explore's state in the address: taken in once, when a link is opened; kept up from then on."""

from __future__ import annotations

import streamlit as st

from ui.explore_view import NAMES, View, from_query
from ui.state import RUN_PARAMETER, app_state
from vae_core.errors import UserError
from vae_core.runs import Run

BESIDE = "beside"
PREFIX = "beside-"


def take_in_address(run: Run) -> None:
    """At the start of a session: the views that its address describes, told of what is wrong."""
    state = app_state()
    if state.address_read:
        return
    state.address_read = True
    state.beside = st.query_params.get(BESIDE)
    for name, prefix in ((run.id, ""), (state.beside, PREFIX)):
        if name is None or not any(prefix + each in st.query_params for each in NAMES):
            continue
        try:
            state.views[name] = from_query(st.query_params.to_dict(), prefix)
        except UserError as error:
            st.warning(str(error))


def write_address(run: Run, beside: Run | None) -> None:
    """Bring the address up to the present view."""
    views = app_state().views
    wanted = {RUN_PARAMETER: run.id} | views.get(run.id, View()).to_query()
    if beside is not None:
        wanted |= {BESIDE: beside.id} | views.get(beside.id, View()).to_query(PREFIX)
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
