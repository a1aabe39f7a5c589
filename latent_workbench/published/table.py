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
from vae_core.reproduce.running import NOT_BEGUN, run_of, state_of
from vae_core.reproduce.table import Row, kept, own, rows
from vae_core.runs import ACTIVE, Run, Store
from vae_core.training import jobs

REDRAW_S = 2.0
HEIGHT = 326
COLUMNS = (
    *("Result", "Printed", "Ours", "Distance", "Schedule", "Your run"),
    *("Unit", "Training", "Device", "Data", "Seed"),
)
WIDTHS = {"Result": 310, "Printed": 70, "Ours": 70, "Distance": 115, "Schedule": 125}
LEAST = 0.00001
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
    lines = [
        row.cells() | {"Your run": standing.states[row.entry.name].replace(NOT_BEGUN, "–")}
        for row in standing.rows
    ]
    st.dataframe(
        [{name: line[name] for name in COLUMNS} for line in lines],
        hide_index=True,
        height=HEIGHT,
        column_config={
            name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()
        },
        key="published-results",
    )


def chosen_result(standing: Standing) -> None:
    """One result: by which protocol, what is otherwise here, and its run: begun, gone on with and
    stopped from here."""
    labels = {entry.name: entry.label for entry in reproductions}
    name = st.selectbox("Result", list(labels), format_func=labels.__getitem__, key="result")
    entry, state = reproductions[name], standing.states[name]
    run, (about, acting) = run_of(entry, Store()), st.columns([2.4, 1], gap="medium")
    with about:
        st.markdown(f"**{entry.paper}.**")
        st.markdown(entry.protocol)
        if entry.departs:
            st.caption(f"Otherwise here: {entry.departs}")
        if entry.cost:
            st.caption(entry.cost)
    with acting:
        state_badge(state)
        if run is not None and state in (*ACTIVE, "measuring"):
            _at_work(run, state)
        else:
            _begin(entry, run)
        if run is not None and st.button("Watch it", key="watch-result"):
            open_run(run.id, "train")


def _at_work(run: Run, state: str) -> None:
    status = run.status()
    total = status.total_steps
    words = f"Step {status.step:,} of {total:,}" if total else "Getting ready"
    st.progress(min(1.0, status.step / max(1, total)), words)
    if st.button(
        "Stop", icon=":material/stop:", key="stop-result",
        **access.widget_options(
            "It goes on from its last save another time."
            if state == "measuring"
            else "What it has learned is saved, and gone on with another time."
        ),
    ):  # fmt: skip
        with errors_shown():
            access.authorized(jobs.send)(run, {"command": "stop"})
            st.toast("It stops within two seconds.")


def _begin(entry: Reproduction, run: Run | None) -> None:
    if entry.problem:
        st.info(redact(entry.problem))
        return
    fraction, problem = bounded(
        st.container(), "Fraction of the schedule", "result-fraction", LEAST, 1.0, 1.0,
        help="Less than 1 is called partial. The rest can follow at any time.", format="%g",
    )  # fmt: skip
    options = access.widget_options(
        "Trains in the background, and measures as the source does.", bool(problem)
    )
    status = None if run is None else run.status()
    if status is not None and status.step:
        st.caption(f"Step {status.step:,} of {status.total_steps:,} is saved.")
    if st.button(
        "Go on in the background" if status else "Run in the background",
        type="primary", icon=":material/play_arrow:", key="run-result", **options,
    ):  # fmt: skip
        with errors_shown():
            access.authorized(start)(entry, Store(), fraction)
            st.rerun()
