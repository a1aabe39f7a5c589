"""The person's own images: uploaded in the browser, or where they lie on this computer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.components.uploader import uploader
from ui.keep import keep, remember
from ui.live.trays import TRAYS, Tray

_PATH = "train-path"
_TRAY = "upload-tray"


def own_images() -> str | None:
    """Ask for images; the path for `DataConfig.data_dir`, None while nothing was given.

    A path that was typed goes before an upload.
    """
    tray = own_tray()
    uploader("train-upload", tray)
    remember(_PATH, "")
    typed = st.text_input("Or the path of a folder or .zip on this computer", key=_PATH)
    typed = keep(_PATH, typed).strip()
    if typed:
        return typed
    return str(tray.kept.path) if tray.kept is not None else None


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
