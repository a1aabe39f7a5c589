"""The person's own images: uploaded in the browser, or where they lie on this computer."""

from __future__ import annotations

import streamlit as st

from ui import access
from ui.keep import keep, remember
from ui.without_paths import without_paths
from vae_core.data import save_uploads
from vae_core.errors import UserError

TYPES = ["zip", "png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "pgm"]
_PATH = "train-path"
_STORED = "stored-uploads"


def own_images() -> str | None:
    """Ask for images; the path for `DataConfig.data_dir`, None while nothing was given.

    A path that was typed goes before an upload. It is asked for where the visitor sits at this
    computer, or may name some of its folders.
    """
    files = st.file_uploader(
        "Upload a .zip or several images",
        type=TYPES,
        accept_multiple_files=True,
        key="train-upload",
        **access.control("Folders inside a .zip become labels."),
    )
    if access.may_name_folders():
        remember(_PATH, "")
        where = "this computer" if access.at_this_computer() else "the server"
        typed = st.text_input(f"Or the path of a folder or .zip on {where}", key=_PATH)
        typed = keep(_PATH, typed).strip()
        if typed:
            return _allowed(typed)
    stored: dict[tuple[str, ...], str] = st.session_state.setdefault(_STORED, {})
    if not files:  # the widget is emptied by a visit to another page; its files are still stored
        return next(reversed(stored.values()), None)
    ids = tuple(file.file_id for file in files)
    if ids not in stored:
        try:
            stored[ids] = str(access.acting(save_uploads)((file.name, file) for file in files))
        except UserError as error:
            st.error(without_paths(error))
            return None
    return stored[ids]


def _allowed(typed: str) -> str | None:
    try:
        return access.folder_allowed(typed)
    except UserError as error:
        st.error(without_paths(error))
        return None
