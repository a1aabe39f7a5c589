"""What a choice of images is taken home as: a list of names, tables, and the files themselves."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, result_of
from vae_core.data import Progress

TABLES = {"CSV": "text/csv", "Parquet": "application/vnd.apache.parquet"}


@dataclass
class Packing:
    """task: packs the zip that was asked for last, of the images that `of` names."""

    of: tuple[str, bytes] | None = None
    task: Task[tuple[bytes, str]] | None = None


def take_home(encoded: EncodedImages, rows: np.ndarray, key: str, name: str = "selection") -> None:
    """Buttons that download the images at `rows` [M]: their names, their tables, their files.

    Args:
        key: tells several of one page apart. name: what the files are called after the run.
    """
    stem = f"{encoded.run.id}-{name}"
    state, of = session(Packing), (encoded.key, rows.tobytes())
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Names", partial(names_of, encoded, rows), f"{stem}.txt", "text/plain",
            key=f"take-names-{key}", icon=":material/list:", on_click="ignore",
            help="The names of the files, one a line.",
        )  # fmt: skip
        for label, mime in TABLES.items():
            kind = label.lower()
            st.download_button(
                label, partial(table_of, encoded, rows, kind), f"{stem}.{kind}", mime,
                key=f"take-{kind}-{key}", icon=":material/download:", on_click="ignore",
                help="Names, labels, scores and encodings.",
            )  # fmt: skip
        if st.button("Zip", key=f"take-zip-{key}", icon=":material/folder_zip:",
                     help="The original files; where images came from none, as the model sees "
                     "them."):  # fmt: skip
            state.of, state.task = of, Task(partial(_packed, encoded, rows))
    if state.of != of or state.task is None:
        return

    def again() -> None:
        state.task = None

    packed = result_of(state.task, f"zip-{key}", again)
    if packed is not None:
        content, note = packed
        st.download_button(
            f"Download {stem}.zip", content, f"{stem}.zip", "application/zip",
            key=f"take-packed-{key}", icon=":material/download:", on_click="ignore", type="primary",
        )  # fmt: skip
        st.caption(f"{len(content) / 1e6:.1f} MB. {note}")


def table_of(encoded: EncodedImages, rows: np.ndarray, kind: str) -> bytes:
    """The rows as a file: names, labels, scores and vectors."""
    from vae_core.export import Source, as_download, export

    return as_download(export(Source(encoded.run, encoded.split, rows=rows), kind), "selection")[1]


def names_of(encoded: EncodedImages, rows: np.ndarray) -> bytes:
    """The names of the images at `rows`, a line each."""
    from vae_core.export.originals import file_list

    return file_list(encoded.survey, rows)


def _packed(encoded: EncodedImages, rows: np.ndarray, progress: Progress) -> tuple[bytes, str]:
    from vae_core.export.originals import zip_images

    packed = io.BytesIO()
    note = zip_images(encoded.run, encoded.survey, rows, encoded.images, packed, progress=progress)
    return packed.getvalue(), note
