"""What is kept on the server's disk to save time, how much it may be, and a way to clear it."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.without_paths import without_paths
from vae_core.data.cache import CacheEntry, Kind, entries, size_limit
from vae_core.errors import UserError
from vae_core.runs import Store
from vae_core.units import gigabytes
from vae_core.upkeep import clear_disk

_CLEARED = "disk-cleared"
_SHOWN: dict[str, tuple[Kind, ...]] = {
    "Prepared images": ("prepared", "unfinished"),
    "Surveys, maps and priors of runs": ("derived",),
    "Uploads": ("upload",),
}


def kept_on_disk() -> None:
    """Draw a small button that opens what is kept."""
    kept = _kept()
    total = sum(entry.size for entry in kept)
    with st.popover(
        f"Kept on disk: {gigabytes(total)}",
        icon=":material/hard_drive:",
        type="tertiary",
        key="kept-on-disk",
    ):
        try:
            _show(kept, total, size_limit())
        except UserError as error:
            st.error(without_paths(error))


@st.cache_data(ttl=5.0, show_spinner=False)
def _kept() -> list[CacheEntry]:
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
        **access.control(
            "What was made is made again when it is needed; uploads have to be sent again. "
            "What a training or an open page uses stays, and uploads that a run still has to learn "
            "from.",
            disabled=not kept,
        ),
    ):
        removed = access.acting(clear_disk)(Store())
        _kept.clear()
        st.session_state[_CLEARED] = sum(entry.size for entry in removed)
        st.rerun()
    if _CLEARED in st.session_state:
        st.caption(f"{gigabytes(st.session_state.pop(_CLEARED))} were cleared.")
