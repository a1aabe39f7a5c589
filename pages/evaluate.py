"""Chosen measures of chosen runs in one table, measured in the background."""

from __future__ import annotations

import streamlit as st

from latent_workbench.evaluate.choice import at_work, choose, run_button
from latent_workbench.evaluate.figures import found
from latent_workbench.evaluate.table import results
from latent_workbench.shared.current_run import with_current_run
from vae_core.runs import Run


def page(run: Run) -> None:
    """Draw the choices on the left, what is known on the right."""
    st.header("Evaluate")
    left, right = st.columns([1, 2.2], gap="large")
    with left:
        asked = choose(run)
    if asked is None:
        return
    table = found(asked)
    with right:
        busy = at_work()
    if not busy:
        with left:
            run_button(asked, table)
    with right:
        results(asked, table)


with_current_run(page, "judge it by its likelihood and other measures")
