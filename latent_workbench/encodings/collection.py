"""What a collection holds: near-duplicates, doubtful labels, groups, and what is rare in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from latent_workbench.encodings.curation_shown import (
    csv_of,
    download,
    keep_names,
    say_what_is_missing,
)
from latent_workbench.encodings.encoded_images import EncodedImages, opening_spinner
from latent_workbench.encodings.groups import groups
from latent_workbench.encodings.looked_through import Looked, found
from latent_workbench.encodings.mislabelled import doubted, mislabelled
from latent_workbench.encodings.near_duplicates import near_duplicates
from latent_workbench.encodings.rare import rare
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.state import session

if TYPE_CHECKING:
    from vae_core.curation import Curation


def draw(encoded: EncodedImages) -> None:
    """What was found, section by section; while it is looked for, how far that is."""
    made = found(encoded)
    if made is None:
        return
    from vae_core.curation import table
    from vae_core.latent.label_errors import CLEAR

    errors, clusters = made.errors, made.clusters
    right = session(Looked).right.setdefault(encoded.key, set())
    likely = 0
    if errors is not None:
        likely = int((errors.margin[doubted(encoded, made, right)] >= CLEAR).sum())
    sections: dict[str, Callable[[EncodedImages, Curation], None]] = {
        f"Near-duplicates · {grouped(len(made.copies.kept))}": near_duplicates,
        f"Likely mislabelled · {grouped(likely)}": mislabelled,
        f"Groups · {grouped(0 if clusters is None else len(clusters))}": groups,
        "What is rare": rare,
    }
    st.markdown(escape_markdown(made.coverage.sentence, 1000))
    choice, whole, keep = st.columns([5, 1, 1], vertical_alignment="bottom")
    names = list(sections)
    chosen = choice.segmented_control(
        "Look at", range(len(names)), default=0, required=True, format_func=names.__getitem__,
        key=f"collection-section-{encoded.run.id}", label_visibility="collapsed",
    )  # fmt: skip
    with whole:
        download("All as CSV", partial(csv_of, table, made), encoded, "curation.csv",
                  "A row each image: its label and the suggested one, its group, what it is a copy "
                  "of, and how rare it is.")  # fmt: skip
    with keep:
        download("keep.txt", partial(keep_names, made), encoded, "keep.txt",
                  "The images that are left when of each group of near-duplicates one is "
                  "kept.")  # fmt: skip
    with errors_shown(st.warning), opening_spinner(encoded.images):
        say_what_is_missing(encoded)
        sections[names[chosen]](encoded, made)
