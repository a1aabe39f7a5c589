"""The run picker in the sidebar: chosen once, the same on every page."""

from __future__ import annotations

import streamlit as st

from ui.catalog import RunFacts, catalog, usable_ids
from ui.numbers import number
from ui.state import choose_run, current_run_id, exists
from ui.theme import state_badge

_KEY = "run-picker"


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
            picture.image(str(current.thumbnail), width=64)
        words.caption(describe(current))
        state_badge(current.state, current.host)
    return current


def describe(facts: RunFacts) -> str:
    """A run in half a line: family, data, β."""
    beta = "" if facts.beta is None else f"β\u00a0{number(facts.beta)}"
    return " · ".join(part for part in (facts.family, facts.dataset, beta) if part)


def _picked() -> None:
    choose_run(st.session_state[_KEY])
