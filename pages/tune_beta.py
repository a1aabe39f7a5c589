"""β while a model trains, over a sweep of models, and in the units of tutorials."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.catalog import facts_of
from latent_workbench.shared.current_run import with_current_run
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.schedule import schedule_chart
from latent_workbench.train.watch import watch
from latent_workbench.tune.findings import monitor_strip, shares
from latent_workbench.tune.sweep_tab import sweep_tab
from latent_workbench.tune.units import converter
from vae_core.runs import ACTIVE, Run

REDRAW_S = 10.0
"""Plotly builds a chart anew for each look, beside the live ones and the training itself."""


def live(run: Run) -> None:
    """The run with its β, the charts that answer, and the schedule it follows."""
    plan, charts = st.columns([1, 2.4], gap="medium")
    with charts:
        watch(run)
    with plan:
        active = facts_of(run).state in ACTIVE
        st.fragment(schedule, run_every=REDRAW_S if active else None)(run)


def schedule(run: Run) -> None:
    """What was planned and set by hand, where training stands, and how the nats are spent."""
    st.markdown("**Schedule**")
    with errors_shown(st.warning):  # a fragment runs again without the page around it
        schedule_chart(run)
        shares(run)


TABS = {"Live": live, "Sweep": sweep_tab, "Units": converter}


def page(run: Run) -> None:
    """Draw the monitor and the tab that is open."""
    st.header("Tune β")
    monitor_strip(run)
    tabs = st.tabs(list(TABS), key="tune-tab", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                draw(run)


with_current_run(page, "compare what β does to it")
