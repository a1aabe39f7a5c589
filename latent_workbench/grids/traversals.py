"""Traversals: every latent dimension by itself, the most informative first."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.grids.sheets import Sheet, decoded, image_number, ticks
from latent_workbench.live.resources import encodings_of, sliders_of
from latent_workbench.shared.explore_view import RAW
from vae_core.latent.grids import dimension_values, even_values, traversal_vectors
from vae_core.runs import Run

MOST_ROWS = 12


def draw(run: Run) -> list[Sheet]:
    """The controls, and one row for each dimension."""
    sliders, encodings = sliders_of(run, RAW), encodings_of(run)
    rows, steps, reach, image = st.columns([1, 1, 1, 1.4], vertical_alignment="bottom")
    most = len(sliders.names)
    used = max(1, most - sliders.unused)
    count = int(
        rows.number_input("Dimensions", 1, most, min(used, MOST_ROWS), key="traversals-rows")
    )
    n = int(steps.number_input("Steps", 3, 40, 11, key="traversals-steps"))
    far = float(reach.number_input("Range ±", 0.1, 10.0, 3.0, 0.5, key="traversals-reach"))
    chosen = image_number(
        run,
        image,
        "Base image",
        key="traversals-image",
        placeholder="the mean",
        help="The encoded image whose dimensions are moved; empty for the mean of all.",
    )
    base = sliders.directions.center
    if encodings is not None and chosen is not None:
        base = encodings.mu[chosen - 1]
    directions = sliders.directions.vectors[:count]
    values = even_values(n, far)
    vectors = traversal_vectors(
        base, directions, dimension_values(base, directions.argmax(axis=1), values)
    )
    st.caption("Sorted by KL: the first rows carry the most; each moves through the same values.")
    return [
        Sheet(
            run,
            "traversals",
            decoded(run, vectors),
            vectors,
            rows=sliders.names[:count],
            columns=ticks(values),
            across="value of the dimension, in latent units",
            moving=True,
        )
    ]


def turns(pictures: np.ndarray) -> np.ndarray:
    """Columns of [R, C, ch, H, W] as frames there and back: uint8 [2C − 2, ch, H, R·W]."""
    from vae_core.imaging.png import tile

    frames = [tile(pictures[:, column], len(pictures)) for column in range(pictures.shape[1])]
    return np.stack([*frames, *frames[-2:0:-1]])
