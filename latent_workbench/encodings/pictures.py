"""Pictures in a row, pixel by pixel, each with a word below it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from vae_core.imaging.png import to_png

SMALLEST = 56
STYLE = (
    "<style>.row-of-pictures {display: flex; flex-wrap: wrap; gap: 8px}"
    ".row-of-pictures figure {margin: 0}"
    ".row-of-pictures img {display: block; object-fit: contain; image-rendering: pixelated;"
    " border-radius: 3px}"
    ".row-of-pictures figcaption {font-size: 12px; opacity: 0.75; overflow: hidden;"
    " text-overflow: ellipsis; white-space: nowrap}</style>"
)


def pictures(images: np.ndarray, names: Sequence[str], side: int = SMALLEST) -> None:
    """Images uint8 [N, C, H, W], `side` px high and wide, above their names."""
    figures = "".join(
        f'<figure><img src="{_address(image)}" alt="{html.escape(name)}"'
        f' title="{html.escape(name)}" style="width: {side}px; height: {side}px">'
        f'<figcaption style="width: {side}px">{html.escape(name)}</figcaption></figure>'
        for image, name in zip(images, names, strict=True)
    )
    st.html(f'{STYLE}<div class="row-of-pictures">{figures}</div>')


def _address(image: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(to_png(image)).decode()
