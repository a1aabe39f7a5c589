"""Images that stand out, and why; and images that are as good as copies of each other."""

from __future__ import annotations

import streamlit as st

from latent_workbench.encodings.details import pictures
from latent_workbench.encodings.encoded_images import (
    Compared,
    EncodedImages,
    is_compared,
    neighbours_of,
)
from latent_workbench.encodings.explained import draw_explained
from latent_workbench.encodings.score_view import draw_scores, pick_image
from latent_workbench.encodings.scored_images import scores_of_part
from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import grouped, number
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import result_of

PAIRS = 12
NEAR = 0.25
"""Closer than this share of the usual distance to a nearest neighbour is a near-duplicate."""


def draw(encoded: EncodedImages) -> None:
    """The scores of the images that the page is about, and the one that is picked."""
    found, key = scores_of_part(encoded), "outliers"
    for note in found.scored.notes:
        st.caption(redact(note))
    ranking = draw_scores(found, key, found.scored.survey.label_names)
    table, detail = st.columns([1.15, 1], gap="medium")
    with table:
        row = pick_image(found, ranking, key)
    with detail:
        draw_explained(found, row, ranking, key)
    st.markdown("**Duplicates**")
    _duplicates(encoded)


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
                pictures(encoded.images.gather(pair), ["", ""], 72)
                st.caption(f"{one} · {other}: {number(float(distance))} apart")


def _groups(count: int) -> str:
    return f"{grouped(count)} {'group' if count == 1 else 'groups'}"
