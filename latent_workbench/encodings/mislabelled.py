"""Images whose neighbours have another label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.encodings.curation_shown import (
    A_PAGE,
    caption_and_table,
    page_of,
    pictures_of,
)
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.looked_through import Looked
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.state import rerun_fragment, session

if TYPE_CHECKING:
    from vae_core.curation import Curation


def doubted(encoded: EncodedImages, made: Curation, right: set[int]) -> np.ndarray:
    """Places in the list of doubtful labels that nobody found right, int64."""
    assert made.errors is not None
    identities = encoded.survey.identities[made.errors.rows]
    return np.flatnonzero(~np.isin(identities, np.array([*right], identities.dtype)))


def mislabelled(encoded: EncodedImages, made: Curation) -> None:
    """Each doubtful label with the neighbours that speak against it."""
    from vae_core.curation import EVIDENCE, doubts_table

    survey, errors = encoded.survey, made.errors
    if errors is None or survey.labels is None:
        st.caption("These images have no labels that could be wrong.")
        return
    right = session(Looked).right.setdefault(encoded.key, set())
    places = doubted(encoded, made, right)
    if not len(places):
        st.caption("Every image has the label that most of its neighbours have.")
        return
    caption_and_table(
        encoded, made, doubts_table, "doubtful-labels.csv",
        "Images whose neighbours have another label, the clearest first: mislabelled, or hard to "
        f"tell apart. {grouped(len(places))} in all.",
    )  # fmt: skip
    for place in page_of(len(places), A_PAGE, f"doubts-{encoded.run.id}"):
        at = int(places[place])
        row = int(errors.rows[at])
        own = survey.label_name(int(survey.labels[row]))
        suggested = survey.label_name(int(errors.suggested[at]))
        image, evidence, button = st.columns([1, 5, 1], vertical_alignment="center")
        with image:
            pictures_of(encoded, np.array([row]), [""])
        with evidence:
            st.markdown(
                f"**{escape_markdown(own)}** → **{escape_markdown(suggested)}**? "
                f"{_agreed(float(errors.margin[at]))}"
            )
            nearest = made.neighbours.places[row][:EVIDENCE]
            names = [survey.label_name(int(survey.labels[each])) for each in nearest]
            pictures_of(encoded, nearest, names)
        if button.button(
            "Looks right", key=f"collection-right-{encoded.run.id}-{row}",
            help="Leaves it out of this list until you close the page.",
        ):  # fmt: skip
            right.add(int(survey.identities[row]))
            rerun_fragment()


def _agreed(margin: float) -> str:
    if margin >= 1:
        return "All its neighbours say so."
    return f"{100 * margin:.0f} % more of its neighbours say so than agree with its label."
