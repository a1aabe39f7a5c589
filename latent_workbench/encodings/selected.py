"""What was drawn around: who they are, what they share, and the way from one group to another."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from latent_workbench.encodings.pictures import pictures
from latent_workbench.encodings.shown import Shown
from latent_workbench.shared import access
from latent_workbench.shared.numbers import grouped, number
from latent_workbench.shared.state import open_in_explore
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.runs import part_name

LARGE = 112
WORST = 4
MOST_LABELS = 5
TABLES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def selection(shown: Shown, rows: np.ndarray) -> None:
    """The summary of the images at `rows` [M], their ends of a direction, and their tables."""
    from vae_core.latent.selection import label_mix, mean_image, mean_vector

    survey = shown.survey
    st.markdown(
        f"**{grouped(len(rows))} {'image' if len(rows) == 1 else 'images'} selected** of the "
        f"{part_name(shown.split)} part"
    )
    mix = label_mix(survey, rows)
    if mix:
        named = [f"{name}: {100 * n / len(rows):.0f} %" for name, n in mix.items()]
        rest = len(named) - MOST_LABELS
        st.caption(" · ".join(named[:MOST_LABELS]) + (f" · {rest} more" if rest > 0 else ""))
    center = mean_vector(survey, rows)
    first, second = st.columns(2)
    with first:
        pictures(mean_image(shown.images, rows)[None], ["mean image"], LARGE)
    with second:
        pictures(shown.decoded(center[None]), ["decoded mean"], LARGE)
    if survey.recon is not None:
        worst = rows[np.argsort(-survey.recon[rows], kind="stable")[:WORST]]
        st.caption("Worst reconstructions, in nats")
        pictures(shown.images.gather(worst), [number(float(survey.recon[i])) for i in worst])
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Open its mean", key=f"encodings-open-{shown.run.id}", icon=":material/open_in_new:"
        ):
            open_in_explore(shown.run.id, center)
        for kind, mime in TABLES.items():
            st.download_button(
                kind.upper() if kind == "csv" else "Parquet",
                partial(table_of, shown, rows, kind),
                f"{shown.run.id}-selection.{kind}", mime, key=f"encodings-{kind}-{shown.run.id}",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip
    _ends(shown, rows)


def table_of(shown: Shown, rows: np.ndarray, kind: str) -> bytes:
    """The rows as a file: names, labels, measures and vectors."""
    from vae_core.export import Source, as_download, export

    return as_download(export(Source(shown.run, shown.split, rows=rows), kind), "selection")[1]


def direction(shown: Shown) -> None:
    """Once two selections are kept: the direction from one to the other, to be saved and used."""
    ends = _kept(shown)
    if len(ends) < 2:
        if ends:
            kept = next(iter(ends))
            st.caption(f"Selection {kept} is kept. Select others and keep them as the other end.")
        return
    from vae_core.latent.saved import save_direction
    from vae_core.latent.selection import direction_between

    with st.form(f"encodings-direction-{shown.run.id}", border=True):
        counts = f"{grouped(len(ends['A']))} → {grouped(len(ends['B']))} images"
        name = st.text_input("Direction from A to B", placeholder="name it", help=counts)
        if st.form_submit_button(
            "Save and open in Explore", icon=":material/trending_flat:", **access.control()
        ):
            try:
                arrow = direction_between(shown.survey, ends["A"], ends["B"])
                access.acting(save_direction)(shown.run, name, arrow.vector * arrow.length)
            except UserError as error:
                st.warning(without_paths(error))
            else:
                ends.clear()
                open_in_explore(shown.run.id, arrow.start)


def _ends(shown: Shown, rows: np.ndarray) -> None:
    with st.container(horizontal=True, gap="small"):
        for end in "AB":
            if st.button(
                f"Keep as {end}", key=f"encodings-keep-{end}-{shown.run.id}",
                help="Two kept selections make a direction from here to there.",
            ):  # fmt: skip
                _kept(shown)[end] = rows


def _kept(shown: Shown) -> dict[str, np.ndarray]:
    """The selections A and B that this session keeps of these images."""
    kept: dict[str, dict[str, np.ndarray]] = st.session_state.setdefault("encodings-ends", {})
    return kept.setdefault(shown.key, {})
