"""What a person typed outlives the page: Streamlit forgets a widget that one run did not draw."""

from __future__ import annotations

from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")
_KEPT = "kept-values"


def remember(key: str, start: Any) -> None:
    """Call before drawing the widget `key`: puts its last value back, or `start`."""
    if key not in st.session_state:
        st.session_state[key] = kept(key, start)


def keep(key: str, value: T) -> T:
    """Call with the value that the widget `key` has; returns it."""
    st.session_state.setdefault(_KEPT, {})[key] = value
    return value


def kept(key: str, start: Any) -> Any:
    """The value of the widget `key` as it stands, before it is drawn; `start` if it never was."""
    return st.session_state.get(key, st.session_state.get(_KEPT, {}).get(key, start))
