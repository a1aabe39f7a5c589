"""What the app remembers of a person's session, typed, with the current run in the address."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

import numpy as np
import streamlit as st

from latent_workbench.shared.explore_view import View
from latent_workbench.shared.plain import plain
from vae_core.errors import UserError
from vae_core.runs import Run, Store

RUN_PARAMETER = "run"
SHIPPED = "mnist-vae"
"""The run that a newcomer meets first."""

STALE_S = 5.0
"""How long the address before a choice is not believed: requests that left the browser before
it heard of the choice, such as a chart's, still carry it, and would undo the choice."""

_KEY = "app-state"


@dataclass
class AppState:
    """Everything that outlives a rerun and is not a widget's own value."""

    run_id: str | None = None
    left: tuple[str, float] | None = None
    """The run that the last choice left, and until when (monotonic, in s) it counts as stale."""
    views: dict[str, View] = field(default_factory=dict)
    """How the explorer was left, by run."""
    ends: dict[str, list[str | None]] = field(default_factory=dict)
    """The points A and B of the explorer's path, as base64 of float32, by run."""
    beside: str | None = None
    """The run that Explore compares the current one with."""
    address: dict[str, str] | None = None
    """Explore's address as the app wrote it last; another one comes from a person."""
    link_problem: str = ""
    """Why that address could not be read, until a hand moves something."""
    called: int = 0
    """How often a person's address was taken in; tells the explorer to go where it says."""


def app_state() -> AppState:
    """This session's state."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = AppState()
    state: AppState = st.session_state[_KEY]
    return state


def choose_run(run_id: str) -> None:
    """Make `run_id` the current run, here and in the address."""
    state, before = app_state(), st.query_params.get(RUN_PARAMETER)
    if before is not None and before != run_id:
        state.left = (before, monotonic() + STALE_S)
    state.run_id = run_id
    st.query_params[RUN_PARAMETER] = run_id


def open_in_explore(run_id: str, vector: np.ndarray) -> None:
    """Go to Explore, at the point `vector` [D] of the run."""
    app_state().views[run_id] = View(z=np.ascontiguousarray(vector, "<f4").tobytes())
    choose_run(run_id)
    st.switch_page("pages/explore.py", query_params={RUN_PARAMETER: run_id})


def current_run_id(usable: list[str]) -> str | None:
    """The run that the address names, else the one chosen before, else the best of `usable`.

    Navigation drops the address's parameters, so this also writes the answer back into it.
    """
    state, asked = app_state(), st.query_params.get(RUN_PARAMETER)
    if state.left is not None and asked == state.left[0] and monotonic() < state.left[1]:
        asked = None
    wished = asked or state.run_id
    if wished is None or not exists(wished):
        wished = SHIPPED if SHIPPED in usable else next(iter(usable), None)
    state.run_id = wished
    if wished is not None and st.query_params.get(RUN_PARAMETER) != wished:
        st.query_params[RUN_PARAMETER] = wished
    return wished


def current_run() -> Run | None:
    """The current run, as the picker in the sidebar settled it; None in an empty store."""
    run_id = app_state().run_id
    return Store().get(run_id) if run_id is not None and exists(run_id) else None


def sound_run() -> Run | None:
    """As `current_run`. Where that is damaged, the reason is shown, and the page ends there.

    Whatever a page would draw of it stands on files that cannot be believed.
    """
    from latent_workbench.shared.catalog import (  # late, as it is built on this file's neighbours
        DAMAGED,
        facts_of,
    )

    run = current_run()
    if run is not None and (facts := facts_of(run)).state == DAMAGED:
        st.error(f"{plain(facts.problem)} Choose another run.")
        st.stop()
    return run


def exists(run_id: str) -> bool:
    """Whether there is a run of that name."""
    try:
        Store().get(run_id)
    except UserError:
        return False
    return True
