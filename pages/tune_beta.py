"""β while a model trains, over a sweep of models, and in the units of tutorials."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.catalog import facts_of
from latent_workbench.shared.empty import no_runs
from latent_workbench.shared.schedule import schedule_chart
from latent_workbench.shared.state import sound_run
from latent_workbench.shared.without_paths import without_paths
from latent_workbench.train.watch import watch
from latent_workbench.tune.findings import monitor_strip, shares
from latent_workbench.tune.units import converter
from latent_workbench.tune.view import follow, sweep_tab
from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Run

TABS = ("Live", "Sweep", "Units")
REDRAW_S = 10.0
"""Plotly builds a chart anew for each look, beside the live ones and the training itself."""


def live(run: Run) -> None:
    """The run with its β, the charts that answer, and the schedule it follows."""
    beside, charts = st.columns([1, 2.4], gap="medium")
    with charts:
        watch(run)
    with beside:
        active = facts_of(run).state in ACTIVE
        st.fragment(plan, run_every=REDRAW_S if active else None)(run)


def plan(run: Run) -> None:
    """What was planned and set by hand, where training stands, and how the nats are spent."""
    st.markdown("**Schedule**")
    try:
        schedule_chart(run)
        shares(run)
    except UserError as error:  # a fragment runs again without the page around it
        st.warning(without_paths(error))


def page(run: Run) -> None:
    """Draw the monitor and the tab that is open."""
    st.header("Tune β")
    monitor_strip(run)
    follow()
    tabs = st.tabs(TABS, key="tune-tab", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, (live, sweep_tab, converter), strict=True):
        if tab.open:
            with tab:
                draw(run)


current_one = sound_run()
if current_one is None:
    no_runs("compare what β does to it")
else:
    try:
        page(current_one)
    except UserError as error:
        st.warning(without_paths(error))
