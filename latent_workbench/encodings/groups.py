"""The groups that the encodings form, their typical images, and the direction that leads there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.encodings.curation_shown import A_PAGE, page_of, pictures_of
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.encodings.looked_through import Looked
from latent_workbench.encodings.take_home import take_home
from latent_workbench.shared import access
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.explore_view import SAVED
from latent_workbench.shared.formatting import escape_markdown, grouped
from latent_workbench.shared.state import rerun_fragment, session

if TYPE_CHECKING:
    from vae_core.curation import Curation

TYPICAL = 11
LABELS_NAMED = 3


def groups(encoded: EncodedImages, made: Curation) -> None:
    """The groups, the largest first, with what can be done with each."""
    from vae_core.latent.selection import label_mix

    survey, clusters, n = encoded.survey, made.clusters, len(encoded.survey)
    words, size = st.columns([5, 1.4], vertical_alignment="bottom")
    most = max(2, n // 2)
    smallest = size.number_input(
        "Smallest group", 2, most, min(made.smallest, most),
        key=f"collection-smallest-{encoded.run.id}-{encoded.split}",
        help="Images that a group has at least. Fewer find finer groups.",
    )  # fmt: skip
    if smallest != min(made.smallest, most):
        session(Looked).smallest[encoded.key] = int(smallest)
        session(Looked).shown.pop(encoded.key, None)
        rerun_fragment()
    if clusters is None or not len(clusters):
        words.caption(
            f"There are no groups of at least {grouped(made.smallest)} among {grouped(n)} images: "
            "the encodings form one cloud. Ask for smaller groups."
        )
        return
    alone = int((clusters.number < 0).sum())
    are = "group is" if len(clusters) == 1 else "groups are"
    words.caption(
        f"{grouped(len(clusters))} {are} denser than what lies between; {grouped(alone)} images "
        "are in none. Show colours a group among the points above; Go there opens the direction "
        "that leads to it in Explore."
    )
    for i in page_of(len(clusters), A_PAGE, f"groups-{encoded.run.id}"):
        rows = np.flatnonzero(clusters.number == i)
        mix = label_mix(survey, rows)
        named = [
            f"{escape_markdown(name)}: {100 * count / len(rows):.0f} %"
            for name, count in mix.items()
        ]
        rest = len(named) - LABELS_NAMED
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                " · ".join([
                    f"**Group {i + 1}**", f"{grouped(len(rows))} images",
                    f"{100 * len(rows) / n:.0f} % of all", *named[:LABELS_NAMED],
                    *([f"{rest} more labels"] if rest > 0 else []),
                ])
            )  # fmt: skip
            _group_buttons(encoded, made, i, rows)
        typical = clusters.typical(i, survey.mu, TYPICAL)
        pictures_of(encoded, typical, [""] * len(typical))


def _group_buttons(encoded: EncodedImages, made: Curation, group: int, rows: np.ndarray) -> None:
    state, key = session(Looked), f"{encoded.run.id}-{group}"
    shown = state.shown.get(encoded.key) == group
    if st.button("Hide" if shown else "Show", key=f"collection-show-{key}",
                 icon=":material/palette:",
                 help="Colours its images among the points above."):  # fmt: skip
        state.shown.pop(encoded.key, None)
        if not shown:
            state.shown[encoded.key] = group
        st.rerun()
    if st.button("Go there", key=f"collection-go-{key}",
                 icon=":material/trending_flat:",
                 **access.widget_options("Saves the direction from all other images to these, and "
                                         "opens it in Explore.")):  # fmt: skip
        with errors_shown(st.warning):
            _go_there(encoded, made, group, rows)
    with st.popover("Take home", icon=":material/download:"):
        take_home(encoded, rows, f"group-{key}", f"group-{group + 1}")


def _go_there(encoded: EncodedImages, made: Curation, group: int, rows: np.ndarray) -> None:
    """Save the direction from the other images to those of a group and open Explore with it."""
    from vae_core.latent.saved import forget_direction, save_direction
    from vae_core.latent.selection import direction_between

    others = np.setdiff1d(np.arange(len(encoded.survey)), rows)
    arrow = direction_between(encoded.survey, others, rows)
    name = f"to group {group + 1} of {len(made.clusters or ())} ({encoded.split})"
    # The group of this name that was found before is of other images, or the same direction.
    access.authorized(forget_direction)(encoded.run, name)
    access.authorized(save_direction)(encoded.run, name, arrow.vector * arrow.length)
    open_in_explore(encoded.run.id, arrow.start, SAVED)
