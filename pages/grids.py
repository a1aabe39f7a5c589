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
from latent_workbench.shared.current_run import open_in_explore, with_current_run
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
            cell = sheet(
                f"sheet-{shown.name}",
                shown.whole(),
                shown.row_names,
                shown.column_names,
                shown.across,
                shown.upwards,
                "" if shown.vectors is None else "Click to open it in Explore",
                shown.row_titles,
                shown.column_titles,
            )
            if cell is not None and shown.vectors is not None:
                open_in_explore(shown.run.id, shown.vectors[cell])
            downloads(shown)


def downloads(shown: Sheet) -> None:
    """The sheet at full resolution; what moves also as an animation."""
    name = f"{shown.run.id}-{shown.name}"

    def moving(kind: Literal["gif", "webp"]) -> bytes:
        frames = traversals.turns(shown.pictures)
        scale = -(-SMALLEST_SIDE // shown.pictures.shape[3])
        return animation(frames, kind, 80, scale, False)

    ways: dict[str, tuple[str, Callable[[], bytes]]] = {}
    ways["PNG"] = ("png", lambda: to_png(shown.whole()))
    if shown.moving:
        ways |= {"GIF": ("gif", lambda: moving("gif")), "WebP": ("webp", lambda: moving("webp"))}
    with st.container(horizontal=True, gap="small"):
        for label, (kind, made) in ways.items():
            st.download_button(
                label, made, f"{name}.{kind}", f"image/{kind}", key=f"{shown.name}-{kind}",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def choose_other(run: Run) -> Run | None:
    """Another run on the same data whose plane is drawn beside, if one is wanted."""
    others = {each.id: each.run for each in companions(run)}
    if not others:
        return None
    chosen = st.selectbox(
        "Compare with", list(others), None, key="grid-beside", label_visibility="collapsed",
        placeholder="Compare with another run",
        help="A second run on the same data, such as an autoencoder beside a VAE.",
    )  # fmt: skip
    return None if chosen is None else others[chosen]


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
        other = choose_other(run) if kind == MANIFOLD else None
    show(manifold.draw(run, other) if kind == MANIFOLD else KINDS[kind](run))


with_current_run(page, "see what its decoder draws over a plane of the latent space")
