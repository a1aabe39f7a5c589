"""The person's own images: uploaded in the browser, or where they lie on this computer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from latent_workbench.components.uploader import uploader
from latent_workbench.live.trays import TRAYS, Tray
from latent_workbench.shared import access
from latent_workbench.shared.keep import keep, remember
from latent_workbench.shared.streamlit_private import get_script_run_ctx, runtime
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError

_PATH = "train-path"
_TRAY = "upload-tray"


def own_images() -> str | None:
    """Ask for images; the path for `DataConfig.data_dir`, None while nothing was given.

    A path that was typed goes before an upload. It is asked for where the visitor sits at this
    computer, or may name some of its folders.
    """
    tray = own_tray()
    uploader("train-upload", tray)
    if access.may_name_folders():
        remember(_PATH, "")
        where = "this computer" if access.at_this_computer() else "the server"
        typed = st.text_input(f"Or the path of a folder or .zip on {where}", key=_PATH)
        typed = keep(_PATH, typed).strip()
        if typed:
            return _allowed(typed)
    return str(tray.kept.path) if tray.kept is not None else None


def _allowed(typed: str) -> str | None:
    try:
        return access.folder_allowed(typed)
    except UserError as error:
        st.error(without_paths(error))
        return None


def own_tray() -> Tray:
    """What this session uploads, and nobody else; it outlives a visit to another page."""
    tray: Tray | None = st.session_state.get(_TRAY)
    if tray is None or tray.closed:
        tray = st.session_state[_TRAY] = TRAYS.open(_presence())
    return tray


def _presence() -> Callable[[], bool]:
    """Tells whether this session still has a page."""
    context = get_script_run_ctx()
    session = context.session_id if context is not None else ""
    return lambda: runtime.exists() and runtime.get_instance().is_active_session(session)
