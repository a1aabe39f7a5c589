"""What was decided where the settings leave it to images and machine, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from latent_workbench.shared.formatting import escape_markdown, number, setting_title
from vae_core.choices import BY_MACHINE
from vae_core.runs import Choices, Run, layout
from vae_core.runs.schemas import Chosen

DECIDING = {False: "the images", True: "the machine"}
"""Who decided a setting, by whether the machine did."""


def decided(chosen: Sequence[Chosen], key: str, hint: str = "") -> None:
    """A line that opens: every decision with its reason, and a hint; nothing without decisions."""
    if not chosen:
        return
    count = f"{len(chosen)} setting{'s' * (len(chosen) > 1)}"
    by_machine = {each.setting in BY_MACHINE for each in chosen}
    deciding = " and ".join(DECIDING[each] for each in sorted(by_machine))
    with st.expander(f"Decided from {deciding}: {count}", icon=":material/rule_settings:", key=key):
        for each in chosen:
            title = setting_title(each.setting) or each.setting
            value = escape_markdown(shown(each.value))
            reason = escape_markdown(each.reason)
            st.markdown(f"**{title}** {value}  \n:gray[:small[{reason}]]")
        if hint:
            st.caption(hint)


def decided_in(run: Run) -> tuple[Chosen, ...]:
    """What a run decided when it began; () where it left nothing open.

    Raises:
        UserError: when the file is damaged.
    """
    if not run.has(layout.CHOICES):
        return ()
    return run.parse(layout.CHOICES, Choices).choices


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value)
