"""Explore's state in the address: taken in when a person opens one, kept up from then on."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.current_run import RUN_PARAMETER
from latent_workbench.shared.explore_view import NAMES, View, from_query
from latent_workbench.shared.state import app_state
from vae_core.runs import Run

COMPARE, PREFIX = "beside", "beside-"
"""The parameter that names the run compared with, and what stands before those of its view."""


def read_address(run: Run) -> None:
    """Take in the views of an address that a link or the browser's history brought. Raises
    UserError naming what cannot be read; that view stays as it was."""
    state, parameters = app_state(), st.query_params.to_dict()
    if parameters == state.address or parameters.get(RUN_PARAMETER) != run.id:
        return
    first, state.address = state.address is None, parameters
    if first or COMPARE in parameters:
        state.compare = parameters.get(COMPARE)
    for name, prefix in ((run.id, ""), (state.compare, PREFIX)):
        if name is not None and any(prefix + each in parameters for each in NAMES):
            state.views[name] = from_query(parameters, prefix)
            state.links_opened += 1


def write_address(run: Run, other: Run | None) -> None:
    """Bring the address up to the present view."""
    state, views = app_state(), app_state().views
    wanted = {RUN_PARAMETER: run.id} | views.get(run.id, View()).to_query()
    if other is not None:
        wanted |= {COMPARE: other.id} | views.get(other.id, View()).to_query(PREFIX)
    state.address = wanted
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
