"""One meaning, one colour, on every page and in both themes; all safe for colour-blind eyes."""

from __future__ import annotations

from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from vae_core.latent.explored import LABEL_COLORS

RECONSTRUCTION = "#0072B2"
KL = "#E69F00"
BETA = "#CC79A7"

MARGIN = {"l": 60, "r": 16, "t": 16, "b": 52}
"""Around figures that stand still, in px."""

STATE_COLORS: dict[str, Literal["red", "orange", "blue", "green", "gray"]] = {
    "starting": "gray",
    "training": "blue",
    "running": "blue",
    "paused": "orange",
    "finished": "green",
    "stopped": "gray",
    "interrupted": "red",
    "failed": "red",
    "damaged": "red",
}
"""Streamlit's names of the colours of state badges, of runs and sweeps."""


def state_badge(state: str, host: str = "") -> None:
    """Draw a state as a chip; `host`: where it is at work, if that is elsewhere."""
    where = f" on {host}" if host else ""
    st.badge(state + where, color=STATE_COLORS.get(state, "gray"))


def label_color(index: int) -> str:
    """The colour of label `index`; repeats after ten."""
    return LABEL_COLORS[index % len(LABEL_COLORS)]


def total_color() -> str:
    """Total and ELBO: nearly black on white, nearly white on black."""
    return "#d9dde3" if st.context.theme.type == "dark" else "#30363d"


def chart(figure: Any, key: str, **options: Any) -> Any:
    """Draw a Plotly figure without its bar of tools; what was selected in it, where it asks."""
    return st.plotly_chart(figure, key=key, config={"displayModeBar": False}, **options)


def page_style() -> None:
    """What a theme cannot set: content up to 1400 px with modest margins, and a mended button.

    The arrow on a popover's button is exchanged when it opens; a click on the old one then counts
    as one beside the popover, which closes it again. So the button as a whole takes the click.
    """
    st.html(
        "<style>.stMainBlockContainer { max-width: 1400px; padding-inline: 2.5rem; }"
        "[data-testid=stPopoverButton] * { pointer-events: none; }</style>"
    )


def kept_in_sight(key: str) -> DeltaGenerator:
    """A container that stays at the lower edge of the window while its place lies below that."""
    # Streamlit's own colours are no variables outside components.
    ground = "light-dark({}, {})".format(
        *(st.get_option(f"theme.{kind}.backgroundColor") or "Canvas" for kind in ("light", "dark"))
    )
    st.html(
        f"<style>[data-testid=stLayoutWrapper]:has(> .st-key-{key}) {{ position: sticky; bottom: 0;"
        f" z-index: 1; }} .st-key-{key} {{ padding-bottom: 8px; background: {ground};"
        f" box-shadow: 0 -8px 8px {ground}; }}</style>"
    )
    return st.container(key=key, gap="small")
