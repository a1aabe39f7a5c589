"""Ideas behind the app as live figures, its terms, and a first experiment."""

from __future__ import annotations

import streamlit as st

from latent_workbench.concepts.experiment import experiment
from latent_workbench.concepts.figures import figures
from latent_workbench.concepts.glossary import glossary
from latent_workbench.shared.glossary import GLOSSARY, TAB

TABS = {"Figures": figures, GLOSSARY: glossary, "First experiment": experiment}

st.header("Concepts")
for tab, draw in zip(
    st.tabs(list(TABS), key=TAB, on_change="rerun", bind="query-params"),
    TABS.values(),
    strict=True,
):
    if tab.open:
        with tab:
            draw()
