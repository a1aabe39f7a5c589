"""Images that a person gives a page: uploaded in the browser, or where they lie on a computer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.state import persistent
from latent_workbench.shared.streamlit_private import get_script_run_ctx, runtime


def typed_path(key: str, label: str, help: str | None = None) -> tuple[bool, str | None]:
    """Ask for a path where the visitor sits at this computer, or may name some of its folders.

    Args:
        help: what else may be typed by who sits at this computer.

    Returns:
        (whether one was typed, it as it is to be opened; None where it may not be).
    """
    if access.may_name_folders():
        where = "this computer" if access.is_local_visitor() else "the server"
        more = help if access.is_local_visitor() else None
        typed = persistent(st.text_input, f"{label} on {where}", key=key, default="", help=more)
        typed = typed.strip()
        if typed:
            with errors_shown():
                return True, access.folder_allowed(typed)
            return True, None
    return False, None


def presence() -> Callable[[], bool]:
    """Tells whether this session still has a page."""
    context = get_script_run_ctx()
    session = context.session_id if context is not None else ""
    return lambda: runtime.exists() and runtime.get_instance().is_active_session(session)
