"""Images that stand out, and images that are as good as copies of each other."""

from __future__ import annotations

import numpy as np
import streamlit as st

from latent_workbench.components.sheet import sheet
from latent_workbench.encodings.details import pictures
from latent_workbench.encodings.encoded_images import (
    Compared,
    EncodedImages,
    is_compared,
    neighbours_of,
    opening_spinner,
)
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import grouped, number
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import result_of
from vae_core.imaging.png import tile
from vae_core.names import shortened

CRITERIA = {"-elbo": "−ELBO", "recon": "Reconstruction error"}
PICTURED, LISTED = 12, 100
ROOM = 12
"""Characters of a name that there is room for below a picture."""

PAIRS, PAIR_SIDE = 12, 96
NEAR = 0.25
"""Closer than this share of the usual distance to a nearest neighbour is a near-duplicate."""


def draw(encoded: EncodedImages) -> None:
    """The ranking with its pictures, then the pairs that lie closest together."""
    by = st.segmented_control(
        "Ranked by", list(CRITERIA), default="-elbo" if encoded.survey.kl is not None else "recon",
        required=True, key=f"outliers-by-{encoded.key}", format_func=CRITERIA.__getitem__,
        help="−ELBO finds what the model holds for unlikely, reconstruction error what it cannot "
        "draw.",
    )  # fmt: skip
    with errors_shown(st.info), opening_spinner(encoded.images):
        _ranking(encoded, by)
    st.markdown("**Duplicates**")
    _duplicates(encoded)


def _ranking(encoded: EncodedImages, by: str) -> None:
    from vae_core.latent.selection import ranked

    order, values = ranked(encoded.survey, by)
    few = order[:PICTURED]
    labels = None if encoded.survey.labels is None else encoded.survey.labels[few]
    originals = encoded.images.gather(few)
    rebuilt = encoded.decoded(encoded.survey.mu[few], labels)
    both = tile(np.concatenate([originals, rebuilt]), len(few))
    worst = [number(float(value)) for value in values[: len(few)]]
    files = [encoded.name(int(row)) for row in few]
    names = worst
    if encoded.survey.files:
        names = [f"{n}\n{shortened(file, ROOM)}" for n, file in zip(worst, files, strict=True)]
    cell = sheet(
        "outliers", both, ["original", "reconstruction"], names,
        f"{CRITERIA[by]}, nats, of {encoded.description}", hint="Click to open it in Explore",
        column_titles=files,
    )  # fmt: skip
    if cell is not None:
        open_in_explore(encoded.run.id, encoded.survey.mu[few[cell[1]]])
    st.dataframe(table(encoded, order[:LISTED]), hide_index=True, height=280)


def table(encoded: EncodedImages, rows: np.ndarray) -> dict[str, list[object]]:
    """Names, labels and measures of the images at `rows`."""
    survey = encoded.survey
    columns: dict[str, list[object]] = {"image": [encoded.name(int(row)) for row in rows]}
    if survey.labels is not None:
        columns["label"] = [survey.label_name(int(survey.labels[row])) for row in rows]
    measured = {"ELBO, nats": survey.elbo, "recon, nats": survey.recon, "KL, nats": survey.kl}
    measured["± KL, nats"] = survey.kl_error
    return columns | {
        name: np.round(values[rows], 2).tolist()
        for name, values in measured.items()
        if values is not None
    }


def _duplicates(encoded: EncodedImages) -> None:
    from vae_core.latent.neighbours import closest_pairs, duplicates, typical_distance

    if not is_compared(encoded):
        if st.button("Look for duplicates", help="Compares all images, which takes a while."):
            session(Compared).keys.add(encoded.key)
            st.rerun()
        return
    found = result_of(neighbours_of(encoded), "neighbours", lambda: neighbours_of.clear(encoded))
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
                one, other = (encoded.name(int(row)) for row in pair)
                pictures(encoded.images.gather(pair), ["", ""], PAIR_SIDE, files=[one, other])
                st.caption(f"{number(float(distance))} apart")


def _groups(count: int) -> str:
    return f"{grouped(count)} {'group' if count == 1 else 'groups'}"
