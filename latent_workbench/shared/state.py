"""What the app remembers of a person's session, typed.

Whatever outlives a rerun and is no widget's own value is a field of a dataclass, one for each page
that remembers something; `session(Kind)` is this session's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from latent_workbench.shared.explore_view import View
from latent_workbench.shared.streamlit_private import StreamlitAPIException

T = TypeVar("T")


def session(kind: type[T]) -> T:
    """This session's one `kind`, made without arguments when it is first asked for."""
    key = f"{kind.__module__}.{kind.__qualname__}"
    if key not in st.session_state:
        st.session_state[key] = kind()
    found: T = st.session_state[key]
    return found


@dataclass
class AppState:
    """What several pages know of each other: the current run, and how Explore was left."""

    run_id: str | None = None
    previous: tuple[str, float] | None = None
    """The run that the last choice left, and until when (monotonic, in s) it counts as stale."""
    views: dict[str, View] = field(default_factory=dict)
    """How the explorer was left, by run."""
    ends: dict[str, list[str | None]] = field(default_factory=dict)
    """The points A and B of the explorer's path, as base64 of float32, by run."""
    compare: str | None = None
    """The run that Explore compares the current one with."""
    address: dict[str, str] | None = None
    """Explore's address as the app wrote it last; another one comes from a person."""
    link_problem: str = ""
    """Why that address could not be read, until a hand moves something."""
    links_opened: int = 0
    """How often a person's address was taken in; tells the explorer to go where it says."""


def app_state() -> AppState:
    """This session's state that several pages share."""
    return session(AppState)


# --- widgets --------------------------------------------------------------------------------------


@dataclass
class WidgetValues:
    """What a person typed, by the widget's key: Streamlit forgets what one run did not draw."""

    values: dict[str, Any] = field(default_factory=dict)


def widget_value(key: str, default: Any) -> Any:
    """The value of the widget `key` as it stands, before it is drawn; `default` if it never was."""
    return st.session_state.get(key, session(WidgetValues).values.get(key, default))


def put_widget_value(key: str, value: Any) -> None:
    """Give the widget `key` a value before it is drawn, as if it had been chosen by hand."""
    st.session_state[key] = session(WidgetValues).values[key] = value


def restore(key: str, default: Any, options: Any = None) -> Any:
    """Before the widget `key` is drawn: puts its last value back, or `default`, and returns it.
    `options`: what it may be, where a value of another run or page may not be offered here."""
    value = widget_value(key, default)
    if options is not None and value not in options:
        value = default
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return value


def persistent(
    widget: Callable[..., Any], *arguments: Any, key: str, default: T, **named: Any
) -> T:
    """The value of `widget(*arguments, key=key, **named)`, which outlives other pages."""
    restore(key, default)
    value: T = widget(*arguments, key=key, **named)
    session(WidgetValues).values[key] = value
    return value


def rerun_fragment() -> None:
    """Run the fragment again; the whole page where it is the page that runs, as it does for a
    click in a page that has outlived its server."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
