"""Published figures, and what comes out here."""

from __future__ import annotations

import streamlit as st

from latent_workbench.published.table import REDRAW_S, Standing, chosen_result, results_table
from latent_workbench.shared.errors import errors_shown


def page() -> None:
    """Draw all of it, again and again while something is being run."""
    st.header("Results")
    st.caption("Published figures beside ours, each from the record of a run.")
    with errors_shown():
        moves = Standing.now().moves
        st.fragment(results, run_every=REDRAW_S if moves else None)(moves)


def results(moved: bool) -> None:
    """The table, and one result of it. `moved`: whether something was being run when the page was
    drawn."""
    with errors_shown():  # a fragment runs again without the page around it
        standing = Standing.now()
        if standing.moves != moved:
            st.rerun()
        results_table(standing)
        chosen_result(standing)


page()
