"""What went wrong, told to a visitor: names in place of this server's paths."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from vae_core.errors import UserError
from vae_core.locations import PACKAGES
from vae_core.runs import Store

_CREDENTIALS = re.compile(r"(?<=://)\S+@")
_QUOTED = re.compile(r"""(["'`“])(/[^"'`”\n]+)(["'`”])""")
_PLAIN = re.compile(r"""(?<![\w/.:~<>)-])/[^\s"'`:;,()\[\]<>]*[^\s"'`:;,.()\[\]<>]""")


def without_paths(error: object) -> str:
    """The text of an error, a note or a log without the paths and passwords in it.

    What lies in the store keeps its place there (`a-run/config.json`), of any other path its last
    name is left. The whole text stands in the log of whoever runs the app.
    """
    text = str(error)
    if "/" not in text:
        return text
    text = _CREDENTIALS.sub("", text)
    for root in _roots():
        text = re.sub(rf"{re.escape(str(root))}/(?=\S)", "", text)
        text = text.replace(str(root), root.name)
    text = _QUOTED.sub(lambda found: found[1] + _name(found[2]) + found[3], text)
    return _PLAIN.sub(lambda found: _name(found[0]), text)


def show(error: Exception) -> bool:
    """Show a sentence that no page has shown, such as a button's; False for a defect, which
    Streamlit logs and tells without details (`client.showErrorDetails`)."""
    if isinstance(error, UserError):
        st.error(without_paths(error))
    return isinstance(error, UserError)


def _name(path: str) -> str:
    return Path(path).name or path


def _roots() -> set[Path]:
    """Folders below which a place says enough: the store, and the app itself in tracebacks."""
    return {each for each in (*Store().roots, PACKAGES) if each.name}
