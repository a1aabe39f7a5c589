"""The menu that saves a chart, at every Plotly chart that Streamlit draws on the page."""

from __future__ import annotations

from importlib.metadata import version

import streamlit as st

from latent_workbench.components import component

_mount = component("chart_saver", "chart_saver")


def chart_saver() -> None:
    """Mount it, once a page, whatever charts come later; it takes no room."""
    st.html("<style>.st-key-chart-saver { display: none; }</style>")
    _mount(key="chart-saver", data=[version("plotly")])
