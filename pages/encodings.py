"""Where the encoder puts the images, and what hides in that space."""

from __future__ import annotations

import streamlit as st

from latent_workbench.encodings import (
    codes_tell,
    collection,
    export,
    new_images,
    outliers,
    prior,
    search,
)
from latent_workbench.encodings.compare import choose_other, side_by_side
from latent_workbench.encodings.encoded_images import (
    CACHED,
    EncodedImages,
    PartImages,
    drawn_instead,
    load_encoded,
    no_encodings,
    outdated_encodings,
    splits_of,
    told_gone,
)
from latent_workbench.encodings.points import scatter_view
from latent_workbench.encodings.query import TABS_KEY
from latent_workbench.live.resources import encodings_of
from latent_workbench.shared.current_run import with_current_run
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.state import persistent, restore
from vae_core.runs import Run

TABS = {
    "Does it look like the prior?": prior.draw,
    "What do codes tell?": codes_tell.draw,
    "Outliers": outliers.draw,
    "New images": new_images.draw,
    "Collection": collection.draw,
    "Search": search.draw,
    "Export": export.draw,
}


def page(run: Run) -> None:
    """The choice of images, the points, and the tabs below them."""
    title, compare, part = st.columns([3, 1, 1], vertical_alignment="bottom")
    title.title(f"Encodings of {run.id}")
    if encodings_of(run) is None:
        no_encodings(run)
        return
    outdated_encodings(run)
    drawn_instead(run)
    key, splits = f"encodings-part-{run.id}", splits_of(run)
    restore(key, CACHED, splits)
    split = persistent(
        part.selectbox, "Images", list(splits), key=key, default=CACHED,
        format_func=splits.__getitem__,
        help="The run keeps the encodings of some images. All of a part are encoded where its "
        "data set is present, which takes a moment the first time.",
    )  # fmt: skip
    with compare:
        other = choose_other(run)
    encoded = load_encoded(run, split)
    beside = None if other is None else load_encoded(other, split)
    if encoded is None or (other is not None and beside is None):
        return
    both = [each for each in (encoded, beside) if each is not None]
    for each in both:
        if each.survey.note:
            st.info(each.survey.note)
    if beside is None:
        scatter_view(encoded)
    else:
        side_by_side(encoded, beside)
    tabs(encoded)
    for each in both:
        if isinstance(each.images, PartImages):
            each.images.open()


@st.fragment
def tabs(encoded: EncodedImages) -> None:
    """Only the open tab is drawn, and drawing it leaves the points alone."""
    if told_gone(encoded.run):
        return
    places = st.tabs(list(TABS), key=TABS_KEY, on_change="rerun")
    for place, draw in zip(places, TABS.values(), strict=True):
        if place.open:
            with place, errors_shown(st.warning):  # such as images that are not at hand
                draw(encoded)
        elif draw is new_images.draw:
            new_images.left(encoded)


with_current_run(page, "see where its encoder puts the images")
