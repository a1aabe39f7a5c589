"""The page before all others where whoever comes has to log in, and the way out again."""

from __future__ import annotations

import logging

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.streamlit_private import get_secrets_auth_section
from latent_workbench.shared.without_paths import without_paths

LOGGER = logging.getLogger(__name__)

_SEEN = "seen-logged-in"


def logged_in() -> bool:
    """Whether the pages may be shown; draws the page to log in where they may not."""
    try:
        needed = access.needs_login()
        access.configured()
    except access.Misconfigured as error:
        st.error(without_paths(error))
        return False
    if not needed:
        return True
    if st.user.get("is_logged_in"):
        if not st.session_state.get(_SEEN):
            st.session_state[_SEEN] = True
            LOGGER.info("%r comes in", st.user.get("email") or st.user.get("sub"))
        return True
    _log_in()
    return False


def account() -> None:
    """Who is logged in, with the way out, and what they may not do here."""
    with st.sidebar:
        reason = access.only_looking()
        if reason:
            st.caption(f":material/visibility: {reason}")
        if access.needs_login():
            name = st.user.get("name") or st.user.get("email") or "Logged in"
            words, out = st.columns([2, 1.2], vertical_alignment="center", gap="small")
            words.caption(f":material/person: {name}")
            out.button("Log out", key="log-out", type="tertiary", on_click=st.logout)


def _log_in() -> None:
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle.container(key="log-in"):
        st.title("Latent workbench")
        st.write("Log in to train models and to explore their latent spaces.")
        for provider, label in _providers().items():
            st.button(
                label,
                key=f"log-in-{provider}",
                type="primary",
                icon=":material/login:",
                width="stretch",
                on_click=st.login,
                args=() if provider == "default" else (provider,),
            )


def _providers() -> dict[str, str]:
    """What can be logged in with: the sections `[auth.NAME]`, or `[auth]` itself."""
    section = get_secrets_auth_section().to_dict()
    named = [name for name, value in section.items() if isinstance(value, dict)]
    named = [name for name in named if "client_id" in section[name]]
    offered = {"default": "Log in"} if "client_id" in section else {}
    return offered | {name: f"Log in with {name.replace('-', ' ').title()}" for name in named}
