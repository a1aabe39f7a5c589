"""Buttons whose clicks count, whatever the page does next.

Streamlit gives a run of the page up where another one is asked for, by a second click or by a live
part that has news; a button that was clicked, and not yet drawn, is then told to nobody. Its
callback is called before the page runs. But a page that outlived its server clicks in a session
that knows no callback yet: there the click is found where the button is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from latent_workbench.shared.errors import redact
from latent_workbench.shared.state import session
from vae_core.errors import UserError


@dataclass
class Clicks:
    """What came of clicks that the page has not told of yet, by button: "", or what went wrong."""

    came: dict[str, str] = field(default_factory=dict)


def acting_button(label: str, act: Callable[[], object], key: str, **options: Any) -> bool:
    """Draw a button that does `act` once for each click; True where the page runs the first time
    after that. A UserError of `act` is shown below the button."""
    came = session(Clicks).came

    def clicked() -> None:
        came[key] = _done(act)

    if st.button(label, key=key, on_click=clicked, **options) and key not in came:
        clicked()
    problem = came.pop(key, None)
    if problem:
        st.error(problem)
    return problem == ""


def _done(act: Callable[[], object]) -> str:
    try:
        act()
    except UserError as error:
        return redact(error)
    return ""
