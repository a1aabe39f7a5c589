"""Images that stand out, and images that are as good as copies of each other."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.sheet import sheet
from latent_workbench.encodings.colours import MEASURE
from latent_workbench.encodings.part_images import sign_of_opening
from latent_workbench.encodings.pictures import pictures
from latent_workbench.encodings.shown import (
    QUICKLY_COMPARED,
    Shown,
    forget_neighbours,
    neighbours_of,
)
from latent_workbench.shared.numbers import grouped, number
from latent_workbench.shared.state import open_in_explore
from latent_workbench.shared.waiting import awaited
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.imaging.png import tile

CRITERIA = {"-elbo": "−ELBO", "recon": "Reconstruction error"}
PICTURED, LISTED = 12, 100
PAIRS = 12
NEAR = 0.25
"""Closer than this share of the usual distance to a nearest neighbour is a near-duplicate."""


def draw(shown: Shown) -> None:
    """The ranking with its pictures, then the pairs that lie closest together."""
    by = st.segmented_control(
        "Ranked by", list(CRITERIA), default="-elbo" if shown.survey.kl is not None else "recon",
        required=True, key=f"outliers-by-{shown.key}", format_func=CRITERIA.__getitem__,
        help="−ELBO finds what the model holds for unlikely, reconstruction error what it cannot "
        "draw.",
    )  # fmt: skip
    try:
        with sign_of_opening(shown.images):
            _ranking(shown, by or "recon")
    except UserError as error:
        st.info(without_paths(error))
    st.markdown("**Duplicates**")
    _duplicates(shown)


def _ranking(shown: Shown, by: str) -> None:
    from vae_core.latent.ranking import ranked

    order, values = ranked(shown.survey, by)
    few = order[:PICTURED]
    labels = None if shown.survey.labels is None else shown.survey.labels[few]
    originals = shown.images.gather(few)
    rebuilt = shown.decoded(shown.survey.mu[few], labels)
    both = tile(np.concatenate([originals, rebuilt]), len(few))
    names = [number(float(value)) for value in values[: len(few)]]
    cell = sheet(
        "outliers", both, ["original", "reconstruction"], names,
        f"{CRITERIA[by]}, nats, of {shown.told}", hint="Click to open it in Explore",
    )  # fmt: skip
    if cell is not None:
        open_in_explore(shown.run.id, shown.survey.mu[few[cell[1]]])
    st.dataframe(table(shown, order[:LISTED]), hide_index=True, height=280)


def table(shown: Shown, rows: np.ndarray) -> dict[str, list[object]]:
    """Names, labels and measures of the images at `rows`."""
    survey = shown.survey
    columns: dict[str, list[object]] = {"image": [shown.name(int(row)) for row in rows]}
    if survey.labels is not None:
        columns["label"] = [survey.label_name(int(survey.labels[row])) for row in rows]
    measured = {"ELBO, nats": survey.elbo, "recon, nats": survey.recon, "KL, nats": survey.kl}
    measured["± KL, nats"] = survey.kl_error
    return columns | {
        name: np.round(values[rows], 2).tolist()
        for name, values in measured.items()
        if values is not None
    }


def _duplicates(shown: Shown) -> None:
    from vae_core.latent.neighbours import closest_pairs, duplicates, typical_distance

    asked = st.session_state.setdefault(MEASURE, set())
    if len(shown.survey) > QUICKLY_COMPARED and shown.key not in asked:
        if st.button("Look for duplicates", help="Compares all images, which takes a while."):
            asked.add(shown.key)
            st.rerun()
        return
    found = awaited(neighbours_of(shown), "neighbours", lambda: forget_neighbours(shown))
    if found is None:
        return
    usual = typical_distance(found)
    same, near = duplicates(found), duplicates(found, NEAR * usual)
    st.caption(
        f"{_groups(len(same))} of images with the same encoding; {_groups(len(near))} of images "
        f"closer than a quarter of the usual distance to a nearest neighbour, which is "
        f"{number(usual)} latent units. Below, the pairs that lie closest."
    )
    pairs, distances = closest_pairs(found, PAIRS)
    for start in range(0, len(pairs), 4):
        for place, pair, distance in zip(
            st.columns(4), pairs[start : start + 4], distances[start : start + 4], strict=False
        ):
            with place:
                one, other = (shown.name(int(row)) for row in pair)
                pictures(shown.images.gather(pair), ["", ""], 72)
                st.caption(f"{one} · {other}: {number(float(distance))} apart")


def _groups(count: int) -> str:
    return f"{grouped(count)} {'group' if count == 1 else 'groups'}"
