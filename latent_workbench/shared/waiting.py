"""Results that take a while: shown when they are there, with progress until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from latent_workbench.shared.task import Task

T = TypeVar("T")

QUICK_S = 0.6
"""Most results are there within this time, and then no progress bar flashes up."""


def awaited(work: Task[T], key: str, again: Callable[[], object]) -> T | None:
    """The result of `work`; None while a bar shows how far it is, or a sentence what went wrong.

    Args:
        again: forgets `work`, so that another attempt begins.
    """
    if work.wait(QUICK_S) and work.result is not None:
        return work.result
    if not work.done:
        waiting(work, key)
    elif work.problem:
        st.warning(work.problem)
        if st.button("Try again", key=f"again-{key}", icon=":material/refresh:"):
            again()
            st.rerun()
    return None


@st.fragment(run_every=0.5)
def waiting(work: Task[T], key: str) -> None:
    """How far it is, and a button that ends it."""
    if work.done:
        st.rerun()
    bar, stop = st.columns([6, 1], vertical_alignment="bottom")
    bar.progress(work.share or 0.0, work.message or "Preparing")
    if stop.button("Stop", key=f"stop-{key}", icon=":material/stop:", width="stretch"):
        work.stop()
        work.wait(QUICK_S)
        st.rerun()
