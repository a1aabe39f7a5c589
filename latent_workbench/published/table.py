"""Published figures beside ours, and one of them to look at and to run."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.current_run import open_run
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.inputs import bounded
from latent_workbench.shared.theme import state_badge
from vae_core.reproduce import Reproduction, reproductions, start
from vae_core.reproduce.running import run_name, run_of, state_of
from vae_core.reproduce.table import Row, kept, own, rows
from vae_core.runs import ACTIVE, Store

REDRAW_S = 2.0
HEIGHT = 396
COLUMNS = (
    *("Result", "Printed", "Ours", "Distance", "Schedule", "State"),
    *("Training", "Seed", "Device", "Unit"),
)
LEAST = 0.0001
"""Of a schedule; less would be no step of some."""


@dataclass(frozen=True)
class Standing:
    """What is known of all results now."""

    rows: list[Row]
    states: dict[str, str]

    @classmethod
    def now(cls) -> Standing:
        store = Store()
        states = {entry.name: state_of(entry, store) for entry in reproductions}
        return cls(rows(kept() | own(store)), states)

    @property
    def moves(self) -> bool:
        """Whether something is being trained or measured."""
        return any(state in ACTIVE or state == "measuring" for state in self.states.values())


def results_table(standing: Standing) -> None:
    """A line for every figure that was printed."""
    lines = [row.cells() | {"State": standing.states[row.entry.name]} for row in standing.rows]
    st.dataframe(
        [{name: line[name] for name in COLUMNS} for line in lines],
        hide_index=True,
        height=HEIGHT,
        column_config={"Result": st.column_config.TextColumn(width=330)},
        key="published-results",
    )


def chosen_result(standing: Standing) -> None:
    """One result: by which protocol, what is otherwise here, its run, and a button to begin it."""
    labels = {entry.name: entry.label for entry in reproductions}
    name = st.selectbox("Result", list(labels), format_func=labels.__getitem__, key="result")
    entry, state = reproductions[name], standing.states[name]
    about, run = st.columns([2.4, 1], gap="medium")
    with about:
        st.markdown(f"**{entry.paper}.** {entry.protocol}")
        st.markdown(f"Otherwise here: {entry.departs}" if entry.departs else "")
        if entry.cost:
            st.caption(entry.cost)
    with run:
        state_badge(state)
        _begin(entry, state)
        if run_of(entry, Store()) is not None and st.button("Watch it", key="watch-result"):
            open_run(run_name(entry), "train")


def _begin(entry: Reproduction, state: str) -> None:
    if entry.problem:
        st.info(redact(entry.problem))
        return
    fraction, problem = bounded(
        st.container(), "Fraction of the schedule", "result-fraction", LEAST, 1.0, 1.0,
        help="Less than 1 is called partial. The rest can follow at any time.",
    )  # fmt: skip
    busy = state in ACTIVE or state == "measuring"
    options = access.widget_options(
        "Trains in the background, and measures as the source does.", busy or bool(problem)
    )
    if st.button(
        "Run in the background", type="primary", icon=":material/play_arrow:", key="run-result",
        **options,
    ):  # fmt: skip
        with errors_shown():
            access.authorized(start)(entry, Store(), fraction)
            st.rerun()
