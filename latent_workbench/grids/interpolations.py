"""Interpolations: from one image to another, along a line or an arc."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.grids.sheets import Sheet, choose_image, decoded, images_of
from latent_workbench.shared.inputs import draw_again
from vae_core.errors import UserError
from vae_core.latent.interpolation import PATHS, interpolate
from vae_core.names import shortened
from vae_core.runs import Run

ROOM = 18
"""Characters that there is room for of a name beside the pictures."""


def draw(run: Run) -> list[Sheet]:
    """The controls, and a row for each pair: the real images at both ends."""
    count, steps, path, first, second, again = st.columns(
        [0.9, 0.9, 1.8, 1.1, 1.1, 1.1], vertical_alignment="bottom"
    )
    images = images_of(run)
    total = len(images.pictures)
    if total < 2:
        raise UserError("An interpolation needs two images; this run has one.")
    rows = int(count.number_input("Pairs", 1, 12, 5, key="paths-rows"))
    n = int(steps.number_input("Steps", 3, 30, 9, key="paths-steps"))
    kind = path.segmented_control(
        "Path", list(PATHS), default="linear", required=True, key="paths-kind",
        format_func=str.capitalize,
        help="Samples of many dimensions lie near a sphere; an arc stays on it, a line cuts it.",
    )  # fmt: skip
    ends = [
        choose_image(
            place, name, total, images.survey.files, key=f"paths-{name}", placeholder="random",
            help="An image; both make the first pair.",
        )
        for place, name in ((first, "From image"), (second, "To image"))
    ]  # fmt: skip
    random = np.random.default_rng(draw_again(again, "paths", width="stretch"))
    pairs = np.stack([random.choice(total, 2, replace=False) for _ in range(rows)])
    for column, end in enumerate(ends):
        if end is not None:
            pairs[0, column] = int(end) - 1
    mu = images.survey.mu
    vectors = np.stack([interpolate(mu[a], mu[b], n, kind) for a, b in pairs])
    between = decoded(run, vectors)
    pictures = np.concatenate(
        [images.pictures[pairs[:, :1]], between, images.pictures[pairs[:, 1:]]], axis=1
    )
    around = np.concatenate([vectors[:, :1], vectors, vectors[:, -1:]], axis=1)
    ends_of = [images.names(pair) for pair in pairs]
    numbered = [[str(i + 1) for i in pair] for pair in pairs]
    short = [[shortened(name, ROOM) for name in pair] for pair in ends_of]
    shares = [f"{round(100 * i / (n - 1))} %" for i in range(n)]
    return [
        Sheet(
            run,
            "interpolations",
            pictures,
            around,
            rows=["\n→ ".join(pair) for pair in short]
            if images.survey.files
            else [" → ".join(pair) for pair in numbered],
            row_titles=[" → ".join(pair) for pair in ends_of],
            columns=["image", *shares, "image"],
            moving=True,
        )
    ]
