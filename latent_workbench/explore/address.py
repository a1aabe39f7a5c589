"""Explore's state in the address: taken in when a person opens one, kept up from then on."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.explore_view import NAMES, View, from_query
from latent_workbench.shared.state import RUN_PARAMETER, app_state
from vae_core.runs import Run

BESIDE = "beside"
PREFIX = "beside-"


def take_in_address(run: Run) -> None:
    """The views that the address describes, if a link or the browser's history brought it.

    Raises:
        UserError: naming what cannot be read; that view stays as it was.
    """
    state, given = app_state(), st.query_params.to_dict()
    if given == state.address or given.get(RUN_PARAMETER) != run.id:
        return
    first, state.address = state.address is None, given
    if first or BESIDE in given:
        state.beside = given.get(BESIDE)
    for name, prefix in ((run.id, ""), (state.beside, PREFIX)):
        if name is not None and any(prefix + each in given for each in NAMES):
            state.views[name] = from_query(given, prefix)
            state.called += 1


def write_address(run: Run, beside: Run | None) -> None:
    """Bring the address up to the present view."""
    state, views = app_state(), app_state().views
    wanted = {RUN_PARAMETER: run.id} | views.get(run.id, View()).to_query()
    if beside is not None:
        wanted |= {BESIDE: beside.id} | views.get(beside.id, View()).to_query(PREFIX)
    state.address = wanted
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
