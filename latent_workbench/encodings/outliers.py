"""Images that stand out, and why."""

from __future__ import annotations

import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.explained import draw_explained
from latent_workbench.encodings.score_view import draw_scores, pick_image
from latent_workbench.encodings.scored_images import scores_of_part
from latent_workbench.shared.errors import redact


def draw(encoded: EncodedImages) -> None:
    """The scores of the images that the page is about, and the one that is picked."""
    found = scores_of_part(encoded)
    # What is known at once has choices of its own: the first of them is not the first of all.
    key = "outliers" if found.is_full else "outliers-at-once"
    for note in found.scored.notes:
        st.caption(redact(note))
    ranking = draw_scores(found, key, found.scored.survey.label_names)
    table, detail = st.columns([1.15, 1], gap="medium")
    with table:
        row = pick_image(found, ranking, key)
    with detail:
        draw_explained(found, row, ranking, key)
