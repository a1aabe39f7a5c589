"""Ideas behind the app as live figures, its terms, and a first experiment."""

from __future__ import annotations

import streamlit as st

from latent_workbench.concepts.figures import figures

st.header("Concepts")
figures()
