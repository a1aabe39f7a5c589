"""The run picker in the sidebar: chosen once, the same on every page."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.catalog import DAMAGED, RunFacts, catalog, usable_ids
from latent_workbench.shared.numbers import number
from latent_workbench.shared.plain import plain
from latent_workbench.shared.state import choose_run, current_run_id, exists
from latent_workbench.shared.theme import state_badge

_KEY = "run-picker"
LONGEST_NAME = 60


def run_picker() -> RunFacts | None:
    """Draw the picker and return the current run; None in an empty store."""
    facts = {each.id: each for each in catalog()}
    asked = st.query_params.get("run")
    run_id = current_run_id(usable_ids(list(facts.values())))
    with st.sidebar:
        if asked and not exists(asked):
            # What else the address says belongs to that run.
            st.query_params.from_dict({} if run_id is None else {"run": run_id})
            st.warning(f"There is no run called {asked!r} here.")
        if run_id is None:
            return None
        # The widget follows the state, not the other way round: other pages choose runs too.
        st.session_state[_KEY] = run_id
        st.selectbox("Run", list(facts), key=_KEY, on_change=_picked)
        current = facts[run_id]
        picture, words = st.columns([1, 2.4], vertical_alignment="center", gap="small")
        if current.thumbnail:
            picture.image(current.thumbnail, width=64)
        words.caption(describe(current))
        state_badge(current.state, current.host)
        if current.problem and current.state == DAMAGED:
            st.caption(f":red[{plain(current.problem)}]")
        elif current.note:
            st.caption(f":orange[{plain(current.note)}]")
    return current


def describe(facts: RunFacts) -> str:
    """A run in half a line: family, data, β."""
    beta = "" if facts.beta is None else f"β\u00a0{number(facts.beta)}"
    named = (plain(name, LONGEST_NAME) for name in (facts.family, facts.dataset))
    return " · ".join(part for part in (*named, beta) if part)


def _picked() -> None:
    choose_run(st.session_state[_KEY])
