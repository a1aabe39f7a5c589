"""The person's own images: uploaded in the browser, or where they lie on this computer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from latent_workbench.components.uploader import uploader
from latent_workbench.live.upload_sessions import UPLOADS, SessionUploads
from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.state import persistent, session
from latent_workbench.shared.streamlit_private import get_script_run_ctx, runtime
from vae_core.runs.store import plain_name


@dataclass
class OwnUploads:
    """What this session uploads, once it has begun to."""

    uploads: SessionUploads | None = None


def own_images() -> str | None:
    """Ask for images; the path for `DataConfig.data_dir`, None while nothing was given.

    A path that was typed goes before an upload. It is asked for where the visitor sits at this
    computer, or may name some of its folders.
    """
    uploads = own_uploads()
    uploader("train-upload", uploads)
    if access.may_name_folders():
        where = "this computer" if access.is_local_visitor() else "the server"
        label = f"Or the path of a folder or file of images on {where}"
        typed = persistent(st.text_input, label, key="train-path", default="").strip()
        if typed:
            with errors_shown():
                return access.folder_allowed(typed)
            return None
    return str(uploads.finished.path) if uploads.finished is not None else None


def uploaded_name() -> str:
    """What the folder was called that this session has uploaded; "" where there was none, or a
    .zip, whose path has its name."""
    finished = own_uploads().finished
    return "" if finished is None else plain_name(finished.folder)


def own_uploads() -> SessionUploads:
    """What this session uploads, and nobody else; it outlives a visit to another page."""
    own = session(OwnUploads)
    if own.uploads is None or own.uploads.closed:
        own.uploads = UPLOADS.open(_presence())
    return own.uploads


def _presence() -> Callable[[], bool]:
    """Tells whether this session still has a page."""
    context = get_script_run_ctx()
    session = context.session_id if context is not None else ""
    return lambda: runtime.exists() and runtime.get_instance().is_active_session(session)
