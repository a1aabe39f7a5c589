"""Drawings made in Python, as part of the page: in its colours, and saying what is pointed at."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "svg_drawing",
    css=(_HERE / "svg.css").read_text(encoding="utf-8"),
    js=(_HERE / "svg.js").read_text(encoding="utf-8"),
)


def drawing(key: str, markup: str) -> None:
    """Show HTML and SVG, which `st.html` would strip; whatever a person named is escaped in it."""
    _mount(key=key, data=[markup])
