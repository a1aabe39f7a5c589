"""What went wrong, shown to a visitor: one sentence, with names in place of this server's paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from latent_workbench.shared.formatting import setting_title
from vae_core.errors import UserError
from vae_core.locations import PACKAGES
from vae_core.runs import Store

_CREDENTIALS = re.compile(r"(?<=://)\S+@")
_QUOTED = re.compile(r"""(["'`“])(/[^"'`”\n]+)(["'`”])""")
_EMOJI = r"\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u200D"
"""Part of a name as letters are: what follows a slash after one lies in a folder of that name."""

_SETTING = re.compile(r"(?<![\w./])[a-z]+\.[a-z_]+(?:\.[a-z_]+)*")

_PLAIN = re.compile(rf"""(?<![\w/.:~<>){_EMOJI}-])/[^\s"'`:;,()\[\]<>]*[^\s"'`:;,.()\[\]<>]""")


def redact(error: object) -> str:
    """The text of an error, a note or a log without the paths and passwords in it, with settings
    called as the form calls them ("data.resize" is “Resize”).

    What lies in the store keeps its place there (`a-run/config.json`), of any other path its last
    name is left. The whole text stands in the log of whoever runs the app.
    """
    text = _SETTING.sub(_called, str(error))
    if "/" not in text:
        return text
    text = _CREDENTIALS.sub("", text)
    for root in {each for each in (*Store().roots, PACKAGES) if each.name}:
        text = re.sub(rf"{re.escape(str(root))}/(?=\S)", "", text)
        text = text.replace(str(root), root.name)
    text = _QUOTED.sub(lambda found: found[1] + _name(found[2]) + found[3], text)
    return _PLAIN.sub(lambda found: _name(found[0]), text)


class errors_shown:
    """Where the block raises a `UserError`, the page shows its sentence and goes on behind it."""

    def __init__(self, show: Callable[[str], object] = st.error) -> None:
        self._show = show

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, UserError):
            return False
        self._show(redact(error))
        return True


def on_script_error(error: Exception) -> bool:
    """Show a sentence that no page has shown, such as a callback's; False for a defect, which
    Streamlit logs and tells without details (`client.showErrorDetails`)."""
    if isinstance(error, UserError):
        st.error(redact(error))
    return isinstance(error, UserError)


def _called(setting: re.Match[str]) -> str:
    title = setting_title(setting[0])
    return f"“{title}”" if title else setting[0]


def _name(path: str) -> str:
    return Path(path).name or path
