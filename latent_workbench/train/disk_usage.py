"""What is kept on the server's disk to save time, how much it may be, and a way to clear it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.errors import errors_shown
from latent_workbench.shared.state import session
from vae_core.data.cache import CacheEntry, Kind, entries, size_limit
from vae_core.runs import Store
from vae_core.units import gigabytes
from vae_core.upkeep import clear_disk

_SHOWN: dict[str, tuple[Kind, ...]] = {
    "Prepared images": ("prepared", "unfinished", "sent"),
    "Surveys, maps and priors of runs": ("derived",),
    "Compiled networks": ("compiled",),
    "Uploads": ("upload",),
}


@dataclass
class Cleared:
    """bytes: what this session has just cleared away; None where it has not."""

    bytes: int | None = None


def disk_usage() -> None:
    """Draw a small button that opens what is kept."""
    kept = _entries()
    total = sum(entry.size for entry in kept)
    with (
        st.popover(
            f"Kept on disk: {gigabytes(total)}",
            icon=":material/hard_drive:",
            type="tertiary",
            key="kept-on-disk",
        ),
        errors_shown(),
    ):
        _show(kept, total, size_limit())


@st.cache_data(ttl=5.0, show_spinner=False)
def _entries() -> list[CacheEntry]:
    """Looked up once in a while, whoever asks."""
    return entries()


def _show(kept: list[CacheEntry], total: int, most: int) -> None:
    st.markdown(
        "Prepared images, uploads and what was found out about runs are kept, so that they need "
        "not be made or sent again. What was not used for longest makes room for what is new."
    )
    st.markdown(f"**{gigabytes(total)} of at most {gigabytes(most)}**")
    for title, kinds in _SHOWN.items():
        some = [entry for entry in kept if entry.kind in kinds]
        used = sum(entry.size for entry in some if entry.in_use)
        line = f"{title}: none"
        if some:
            sets = "1 set" if len(some) == 1 else f"{len(some)} sets"
            line = f"{title}: {sets}, {gigabytes(sum(entry.size for entry in some))}"
        st.caption(line + (f", of which {gigabytes(used)} are in use" if used else ""))
    if st.button(
        "Clear what is not in use",
        key="clear-disk",
        icon=":material/delete_sweep:",
        **access.widget_options(
            "What was made is made again when it is needed; uploads have to be sent again. "
            "What a training or an open page uses stays, and uploads that a run still has to learn "
            "from.",
            disabled=not kept,
        ),
    ):
        removed = access.authorized(clear_disk)(Store())
        _entries.clear()
        session(Cleared).bytes = sum(entry.size for entry in removed)
        st.rerun()
    if (cleared := session(Cleared).bytes) is not None:
        session(Cleared).bytes = None
        st.caption(f"{gigabytes(cleared)} were cleared.")
