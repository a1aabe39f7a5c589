"""What a collection holds little of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from latent_workbench.encodings.curation_shown import page_of, pictures_of
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.take_home import take_home
from latent_workbench.shared.formatting import number

if TYPE_CHECKING:
    from vae_core.curation import Curation

RAREST, IN_A_ROW = 66, 22


def rare(encoded: EncodedImages, made: Curation) -> None:
    """The images farthest from all others, labels with few images, and small groups."""
    found = made.coverage
    if not found.times.any():
        st.caption("All images have the same encoding, so none is rarer than another.")
        return
    st.caption(
        "Farthest from their neighbours first, as a multiple of what is usual: what the model has "
        "seen least of."
    )
    rarest = found.order[:RAREST]
    times = [f"× {number(float(found.times[row]), 'far')}" for row in rarest]
    for start in page_of(-(-len(rarest) // IN_A_ROW), 1, f"rare-{encoded.run.id}"):
        here = slice(IN_A_ROW * start, IN_A_ROW * (start + 1))
        pictures_of(encoded, rarest[here], times[here])
    labels, groups = st.columns(2)
    if found.few:
        labels.caption(f"Labels with few images; an even share would be {found.even:.0f}")
        labels.dataframe(
            {"label": [name for name, _ in found.few], "images": [count for _, count in found.few]},
            hide_index=True, height=180,
        )  # fmt: skip
    if found.small and made.clusters is not None:
        sizes = made.clusters.sizes
        groups.caption("Small groups")
        groups.dataframe(
            {"group": [i + 1 for i in found.small],
             "images": [int(sizes[i]) for i in found.small]},
            hide_index=True, height=180,
        )  # fmt: skip
    far = found.order[: found.lonely]
    if len(far):
        take_home(encoded, far, f"rare-{encoded.run.id}", "rare")
