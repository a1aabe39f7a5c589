"""Where the encoder puts the images, and what hides in that space."""

from __future__ import annotations

import streamlit as st

from latent_workbench.encodings import exporting, outliers, prior
from latent_workbench.encodings.act import act
from latent_workbench.encodings.beside import both, choose_beside
from latent_workbench.encodings.completing import no_encodings, older_ones
from latent_workbench.encodings.part_images import PartImages
from latent_workbench.encodings.shown import CACHED, Shown, parts_of, shown_of
from latent_workbench.live.loaded import encodings_of
from latent_workbench.shared.empty import no_runs
from latent_workbench.shared.keep import keep, remember
from latent_workbench.shared.state import sound_run
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.runs import Run

TABS = {
    "Does it look like the prior?": prior.draw,
    "Outliers": outliers.draw,
    "Export": exporting.draw,
}


def page(run: Run) -> None:
    """The choice of images, the points, and the tabs below them."""
    title, compare, part = st.columns([3, 1, 1], vertical_alignment="bottom")
    title.title(f"Encodings of {run.id}")
    if encodings_of(run) is None:
        no_encodings(run)
        return
    older_ones(run)
    key = f"encodings-part-{run.id}"
    remember(key, CACHED)
    parts = parts_of(run)
    if st.session_state[key] not in parts:
        st.session_state[key] = CACHED
    split = part.selectbox(
        "Images", list(parts), key=key, format_func=parts.__getitem__,
        help="The run keeps the encodings of some images. All of a part are encoded where its "
        "data set is present, which takes a moment the first time.",
    )  # fmt: skip
    split = keep(key, split or CACHED)
    with compare:
        other = choose_beside(run)
    shown = shown_of(run, split)
    beside = None if other is None else shown_of(other, split)
    if shown is None or (other is not None and beside is None):
        return
    for each in (shown, beside):
        if each is not None and each.survey.note:
            st.info(each.survey.note)
    if beside is None:
        act(shown)
    else:
        both(shown, beside)
    below(shown)
    for each in (shown, beside):
        if each is not None and isinstance(each.images, PartImages):
            each.images.open()


@st.fragment
def below(shown: Shown) -> None:
    """The tabs; only the open one is drawn, and drawing it leaves the points alone."""
    places = st.tabs(list(TABS), key="encodings-tab", on_change="rerun")
    for place, draw in zip(places, TABS.values(), strict=True):
        if place.open:
            with place:
                try:
                    draw(shown)
                except UserError as error:  # such as images that are not at hand
                    st.warning(without_paths(error))


current = sound_run()
if current is None:
    no_runs("see where its encoder puts the images")
else:
    try:
        page(current)
    except UserError as error:
        st.warning(without_paths(error))
