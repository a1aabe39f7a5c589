"""The latent space as sheets of pictures: planes, traversals, samples, reconstructions, paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from latent_workbench.components.sheet import sheet
from latent_workbench.grids import interpolations, manifold, reconstructions, samples, traversals
from latent_workbench.grids.sheets import Sheet
from latent_workbench.live.resources import encodings_of
from latent_workbench.shared.catalog import companions
from latent_workbench.shared.current_run import open_in_explore, run_choice, with_current_run
from vae_core.imaging.animation import animation
from vae_core.imaging.png import to_png
from vae_core.latent.survey import finite
from vae_core.runs import Run

MANIFOLD = "Manifold"
KINDS = {
    "Traversals": traversals.draw,
    "Samples": samples.draw,
    "Reconstructions": reconstructions.draw,
    "Interpolations": interpolations.draw,
}
SMALLEST_SIDE = 56
"""Animations are enlarged until a picture has so many px."""


def show(sheets: list[Sheet]) -> None:
    """All sheets side by side; a click on a picture goes to Explore."""
    for place, shown in zip(st.columns(len(sheets)), sheets, strict=True):
        with place:
            if shown.title:
                st.markdown(f"**{shown.title}**")
            rows, columns = shown.pictures.shape[:2]
            cell = sheet(
                f"sheet-{shown.name}", shown.whole(), shown.rows or [""] * rows,
                shown.columns or [""] * columns, shown.across, shown.upwards,
                "Click to open it in Explore", shown.row_titles, shown.column_titles,
            )  # fmt: skip
            if cell is not None:
                open_in_explore(shown.run.id, shown.vectors[cell])
            downloads(shown)


def downloads(shown: Sheet) -> None:
    """The sheet at full resolution; what moves also as an animation."""
    name = f"{shown.run.id}-{shown.name}"

    def moving(kind: Literal["gif", "webp"]) -> bytes:
        frames = traversals.turns(shown.pictures)
        scale = -(-SMALLEST_SIDE // shown.pictures.shape[3])
        return animation(frames, kind, 80, scale, False)

    ways: dict[str, Callable[[], bytes]] = {"PNG": lambda: to_png(shown.whole())}
    if shown.moving:
        ways |= {"GIF": lambda: moving("gif"), "WebP": lambda: moving("webp")}
    with st.container(horizontal=True, gap="small"):
        for label, made in ways.items():
            kind = label.lower()
            st.download_button(
                label, made, f"{name}.{kind}", f"image/{kind}", key=f"{shown.name}-{kind}",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def page(run: Run) -> None:
    """The toolbar, the controls of what was chosen, and its pictures."""
    st.title(f"Grids of {run.id}")
    encodings = encodings_of(run)
    if encodings is not None:
        finite(encodings.mu, "encoding")
    kinds, compare = st.columns([3, 1], vertical_alignment="center")
    kind = kinds.segmented_control(
        "Show", [MANIFOLD, *KINDS], default=MANIFOLD, required=True, key="grid-kind",
        label_visibility="collapsed",
    )  # fmt: skip
    with compare:
        other = None if kind != MANIFOLD else run_choice(
            companions(run), "grid-beside", label_visibility="collapsed",
            placeholder="Compare with another run",
            help="A second run on the same data, such as an autoencoder beside a VAE.",
        )  # fmt: skip
    show(manifold.draw(run, other) if kind == MANIFOLD else KINDS[kind](run))


with_current_run(page, "see what its decoder draws over a plane of the latent space")
