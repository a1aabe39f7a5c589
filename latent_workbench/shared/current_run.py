"""The current run: chosen once in the sidebar, the same on every page and in the address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import numpy as np
import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.catalog import DAMAGED, RunFacts, catalog, facts_of
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.explore_view import PRINCIPAL, View
from latent_workbench.shared.formatting import escape_markdown, number
from latent_workbench.shared.state import app_state
from latent_workbench.shared.theme import state_badge
from vae_core.errors import UserError
from vae_core.runs import Run, Store

RUN_PARAMETER = "run"
STALE_S = 5.0
"""How long the address before a choice is not believed: requests that left the browser before
it heard of the choice, such as a chart's, still carry it, and would undo the choice."""

LONGEST_NAME = 60
_PICKER = "run-picker"


def choose_run(run_id: str) -> None:
    """Make `run_id` the current run, here and in the address."""
    state, before = app_state(), st.query_params.get(RUN_PARAMETER)
    if before is not None and before != run_id:
        state.previous = (before, monotonic() + STALE_S)
    state.run_id = run_id
    st.query_params[RUN_PARAMETER] = run_id


def open_run(run_id: str, page: str = "explore") -> None:
    """Make `run_id` the current run and go to a page with it."""
    choose_run(run_id)
    st.switch_page(f"pages/{page}.py", query_params={RUN_PARAMETER: run_id})


def open_in_explore(run_id: str, vector: np.ndarray, kind: str = PRINCIPAL) -> None:
    """Go to Explore, at the point `vector` [D] of the run, with directions of this kind."""
    app_state().views[run_id] = View(kind, z=np.ascontiguousarray(vector, "<f4").tobytes())
    open_run(run_id)


def current_run_id(usable: list[str]) -> str | None:
    """The run that the address names, else the one chosen before, else whom a newcomer meets.

    Navigation drops the address's parameters, so this also writes the answer back into it.
    """
    state, asked = app_state(), st.query_params.get(RUN_PARAMETER)
    if state.previous is not None and asked == state.previous[0]:
        asked = None if monotonic() < state.previous[1] else asked
    run_id = asked or state.run_id
    if _find(run_id) is None:
        run_id = Store().first_met(usable)
    state.run_id = run_id
    if run_id is not None and st.query_params.get(RUN_PARAMETER) != run_id:
        st.query_params[RUN_PARAMETER] = run_id
    return run_id


def current_run() -> Run | None:
    """The current run, as the picker in the sidebar settled it; None in an empty store."""
    return _find(app_state().run_id)


def sound_run() -> Run | None:
    """As `current_run`. Where that is damaged, the reason is shown, and the page ends there.

    Whatever a page would draw of it stands on files that cannot be believed.
    """
    run = current_run()
    if run is not None and (facts := facts_of(run)).state == DAMAGED:
        st.error(f"{escape_markdown(facts.problem)} Choose another run.")
        st.stop()
    return run


def with_current_run(page: Callable[[Run], None], purpose: str) -> None:
    """Draw `page` of the current run; where there is none, say what one would be good for."""
    run = sound_run()
    if run is None:
        no_runs(purpose)
        return
    with errors_shown(st.warning):
        page(run)


def no_runs(purpose: str) -> None:
    """There is no run at all: say what one would be good for here, and offer to train one."""
    st.title("Nothing is trained yet")
    if reason := access.read_only_reason():
        st.write(reason)
        return
    st.write(f"Train a model first; then you can {purpose} here.")
    if st.button("Train a model", type="primary", icon=":material/model_training:"):
        st.switch_page("pages/train.py")


def run_choice(others: Iterable[RunFacts], key: str, **options: Any) -> Run | None:
    """Another run to compare with, if one is wanted; nothing is drawn where there is none."""
    runs = {each.id: each.run for each in others}
    if not runs:
        return None
    chosen = st.selectbox("Compare with", list(runs), None, key=key, **options)
    return None if chosen is None else runs[chosen]


def _find(run_id: str | None) -> Run | None:
    with suppress(UserError):
        return Store().get(run_id) if run_id is not None else None
    return None


# --- the picker in the sidebar --------------------------------------------------------------------


def run_picker() -> None:
    """Draw the picker, with what is known of the current run; nothing in an empty store."""
    facts = {each.id: each for each in catalog()}
    asked = st.query_params.get(RUN_PARAMETER)
    run_id = current_run_id([each.id for each in facts.values() if each.usable])
    with st.sidebar:
        if asked and _find(asked) is None:
            # What else the address says belongs to that run.
            st.query_params.from_dict({} if run_id is None else {RUN_PARAMETER: run_id})
            st.warning(f"There is no run called {asked!r} here.")
        if run_id is None:
            return
        # The widget follows the state, not the other way round: other pages choose runs too.
        st.session_state[_PICKER] = run_id
        st.selectbox(
            "Run", list(facts), key=_PICKER,
            on_change=lambda: choose_run(st.session_state[_PICKER]),
        )  # fmt: skip
        current = facts[run_id]
        picture, words = st.columns([1, 2.4], vertical_alignment="center", gap="small")
        if current.thumbnail:
            picture.image(current.thumbnail, width=64)
        words.caption(describe(current))
        state_badge(current.state, current.host)
        if current.problem and current.state == DAMAGED:
            st.caption(f":red[{escape_markdown(current.problem)}]")
        elif current.note:
            st.caption(f":orange[{escape_markdown(current.note)}]")


def describe(facts: RunFacts) -> str:
    """A run in half a line: family, data, β; or where it came from, and its images."""
    beta = "" if facts.beta is None else f"β\u00a0{number(facts.beta)}"
    what = f"from {facts.brought}" if facts.brought else facts.family
    images = "no images" if facts.brought and not facts.n_train else facts.dataset
    named = (escape_markdown(name, LONGEST_NAME) for name in (what, images))
    return " · ".join(part for part in (*named, beta) if part)
