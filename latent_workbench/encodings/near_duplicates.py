"""Groups of near-duplicates, and which image of each can be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.encodings.curation_shown import (
    A_PAGE,
    IN_SIGHT,
    caption_and_table,
    page_of,
    pictures_of,
)
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.formatting import grouped, number

if TYPE_CHECKING:
    from vae_core.curation import Curation


def near_duplicates(encoded: EncodedImages, made: Curation) -> None:
    """Group by group, what is kept first."""
    from vae_core.curation import copies_table

    copies = made.copies
    if not copies.kept:
        st.caption("No two of these images are near-duplicates.")
        return
    spare = len(copies.superfluous)
    caption_and_table(
        encoded, made, copies_table, "near-duplicates.csv",
        f"{grouped(spare)} {'image is a' if spare == 1 else 'images are'} near-"
        f"duplicate{'' if spare == 1 else 's'} of {grouped(len(copies.kept))} that can be kept: "
        "alike to the encoder, and Δ at most 16 of 255 grey levels.",
    )  # fmt: skip
    for i in page_of(len(copies.kept), A_PAGE, f"copies-{encoded.run.id}"):
        kept, others = copies.kept[i], copies.others[i]
        seen = others[: IN_SIGHT - 1]
        apart = None if copies.differences is None else copies.differences[i]
        told = ["" if apart is None else _apart(apart[j]) for j in range(len(seen))]
        more = len(others) - len(seen)
        st.markdown(
            f"**{grouped(len(others) + 1)} alike**"
            + (f", {grouped(more)} not shown" if more else "")
        )
        pictures_of(encoded, np.append(kept, seen), ["keep", *told])


def _apart(difference: float) -> str:
    return "the same" if difference == 0 else f"Δ {number(float(difference))}"
