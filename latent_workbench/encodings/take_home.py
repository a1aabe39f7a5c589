"""What a choice of images is taken home as: a list of names, tables, and the files themselves."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import partial
from typing import IO

import numpy as np
import streamlit as st

from latent_workbench.encodings.encoded_images import EncodedImages
from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, result_of
from vae_core.data import Progress
from vae_core.errors import UserError

TABLES = {"CSV": "text/csv", "Parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class Packed:
    """A zip on disk, which goes once nobody holds it any more; `note` is what it holds."""

    file: IO[bytes]
    note: str

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self.file.fileno()).st_size

    def content(self) -> bytes:
        """All of it: in memory only once a browser asks for it."""
        return os.pread(self.file.fileno(), self.size, 0)


@dataclass
class Packing:
    """task: packs the zip that was asked for last, of the images that `of` names."""

    of: tuple[str, bytes] | None = None
    task: Task[Packed] | None = None


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
            state.of, state.task = of, Task(partial(packed_images, encoded, rows))
    if state.of != of or state.task is None:
        return

    def again() -> None:
        state.task = None

    packed = result_of(state.task, f"zip-{key}", again)
    if packed is not None:
        st.download_button(
            f"Download {escape_markdown(stem)}.zip", packed.content, f"{stem}.zip",
            "application/zip", key=f"take-packed-{key}", icon=":material/download:",
            on_click="ignore", type="primary",
        )  # fmt: skip
        st.caption(f"{packed.size / 1e6:.1f} MB. {packed.note}")


def table_of(encoded: EncodedImages, rows: np.ndarray, kind: str) -> bytes:
    """The rows as a file: names, labels, scores and vectors."""
    from vae_core.export import Source, as_download, export

    source = Source(encoded.run, encoded.split, rows=rows, at_hand=encoded.survey)
    return as_download(export(source, kind), "selection")[1]


def names_of(encoded: EncodedImages, rows: np.ndarray) -> bytes:
    """The names of the images at `rows`, a line each."""
    from vae_core.export.originals import file_list

    return file_list(encoded.survey, rows)


def packed_images(encoded: EncodedImages, rows: np.ndarray, progress: Progress) -> Packed:
    """The images at `rows` as a zip.

    Raises:
        UserError: as `zip_images` does, and where there is no room for it.
    """
    from vae_core.export.originals import zip_images

    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever downloads it holds it
        note = zip_images(
            encoded.run, encoded.survey, rows, encoded.images, file, progress=progress
        )
        file.flush()
    except OSError as error:
        raise UserError(
            f"The zip could not be written: {error.strerror or error}. Free some space, or select "
            "fewer images."
        ) from None
    return Packed(file, note)
