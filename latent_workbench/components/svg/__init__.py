"""Drawings made in Python, as part of the page: in its colours, and saying what is pointed at."""

from __future__ import annotations

from latent_workbench.components import component

_mount = component("svg_drawing", "svg")


def drawing(key: str, markup: str, csv: str = "") -> None:
    """Show HTML and SVG, which `st.html` would strip; whatever a person named is escaped in it.

    Args:
        csv: the numbers that it was drawn from, for who saves it.
    """
    _mount(key=key, data=[{"name": key, "markup": markup, "csv": csv}])
