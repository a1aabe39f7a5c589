"""What a page says when there is nothing to show on it yet."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access


def no_runs(purpose: str) -> None:
    """There is no run at all: say what one would be good for here, and offer to train one."""
    st.title("Nothing is trained yet")
    if reason := access.only_looking():
        st.write(reason)
        return
    st.write(f"Train a model first; then you can {purpose} here.")
    if st.button("Train a model", type="primary", icon=":material/model_training:"):
        st.switch_page("pages/train.py")
