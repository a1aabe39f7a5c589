"""What the first experiment consists of, and a button that begins it."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.guide import STEPS, start_guide


def experiment() -> None:
    """Draw the five steps and the button."""
    st.markdown(
        "Ten minutes, five steps, on handwritten digits. Each opens the real page; a note at the "
        "side says what to do there and what to look for, and you can leave at any time."
    )
    for place, (number, step) in zip(st.columns(len(STEPS)), enumerate(STEPS, 1), strict=True):
        place.markdown(f"**{number}. {step.title}**")
        place.caption(step.do)
    if st.button("Begin", type="primary", icon=":material/play_arrow:", key="guide-start"):
        start_guide()
