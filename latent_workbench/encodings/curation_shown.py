"""What the panels of a collection share: pictures with their files, pages of a list, downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.encodings.details import pictures
from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import grouped
from vae_core.errors import UserError

if TYPE_CHECKING:
    from vae_core.curation import Curation

    Table = Callable[[Curation], Mapping[str, list[object]]]

SIDE = 72
"""Of pictures, in px."""

A_PAGE, IN_SIGHT = 6, 10
"""Groups or doubts that a page shows, and images of each group."""


def say_what_is_missing(encoded: EncodedImages) -> None:
    """Why the images themselves are not shown, where they are not at hand."""
    try:
        encoded.images.gather(np.array([0]))
    except UserError as missing:
        st.info(f"The pictures below are drawn by the model. {redact(missing)}")


def pictures_of(encoded: EncodedImages, rows: np.ndarray, names: list[str]) -> None:
    """The images at `rows` above `names` and their files; what the model draws of them where they
    are not at hand."""
    try:
        images = encoded.images.gather(rows)
    except UserError:
        labels = None if encoded.survey.labels is None else encoded.survey.labels[rows]
        images = encoded.decoded(encoded.survey.mu[rows], labels)
    pictures(images, names, SIDE, [encoded.name(int(row)) for row in rows])


def page_of(count: int, size: int, key: str) -> range:
    """The places in a list of `count` that the chosen page of it shows."""
    pages = -(-count // size)
    if pages <= 1:
        return range(count)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        page = st.number_input(
            f"Page, of {grouped(pages)}", 1, pages, 1, key=f"collection-page-{key}", width=140,
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption(f"page of {grouped(pages)}")
    return range((page - 1) * size, min(page * size, count))


def caption_and_table(
    encoded: EncodedImages, made: Curation, table: Table, file: str, caption: str
) -> None:
    """What a list is of, and all of it to download."""
    words, button = st.columns([5, 1], vertical_alignment="center")
    words.caption(caption)
    with button:
        download("CSV", partial(csv_of, table, made), encoded, file, "This list, all of it.")


def download(
    label: str, content: Callable[[], bytes], encoded: EncodedImages, file: str, help: str
) -> None:
    """A button that downloads a file about the collection, made when it is pressed."""
    st.download_button(
        label, content, f"{encoded.run.id}-{file}", key=f"collection-{file}-{encoded.run.id}",
        on_click="ignore", icon=":material/download:", help=help, width="stretch",
    )  # fmt: skip


def csv_of(table: Table, made: Curation) -> bytes:
    """A table of what was found, with a head."""
    columns = table(made)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def keep_names(made: Curation) -> bytes:
    """The names of the images that are kept, a line each."""
    from vae_core.curation import keep_list

    return "".join(f"{name}\n" for name in keep_list(made)).encode()
