"""Pictures that Python writes into the page, pixel by pixel."""

from __future__ import annotations

import base64
import html

import numpy as np
import streamlit as st

from vae_core.imaging.png import to_png


def data_url(picture: bytes | np.ndarray) -> str:
    """A PNG, or an image uint8 [C, H, W], as an address that holds it."""
    png = picture if isinstance(picture, bytes) else to_png(picture)
    return "data:image/png;base64," + base64.b64encode(png).decode()


def wide_picture(png: bytes, kind: str, alt: str) -> None:
    """A picture as wide as its column, pixels crisp; `kind` is its class in the page."""
    st.html(
        f'<img class="{kind}" alt="{html.escape(alt)}" src="{data_url(png)}" '
        'style="width:100%;image-rendering:pixelated;border-radius:4px;display:block">'
    )
