"""Encodings that a stopped training has left out, made when somebody wants them."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared import access
from latent_workbench.shared.numbers import grouped
from latent_workbench.shared.task import Task
from latent_workbench.shared.waiting import awaited
from vae_core.data import Progress
from vae_core.runs import ACTIVE, Run


def older_ones(run: Run) -> None:
    """Say that the encodings are not those of the weights, and offer to make them."""
    from vae_core.completion import is_complete
    from vae_core.latent.encodings import encoded_step

    if is_complete(run):
        return
    words, button = st.columns([4, 1], vertical_alignment="center")
    words.info(
        f"The training ended before its images were encoded anew. What you see is of step "
        f"{grouped(encoded_step(run) or 0)}, the weights are of step "
        f"{grouped(run.weights_step() or 0)}."
    )
    with button:
        _offer(run)


def no_encodings(run: Run) -> None:
    """What to do where there are none."""
    if run.weights_step() is not None and run.status().state not in ACTIVE:
        st.info("This run has no encodings yet: its training ended before they were made.")
        _offer(run)
        return
    st.info(
        "This run has no encodings yet: they are cached when an epoch ends. "
        "Train it for one epoch, then come back."
    )
    if st.button("Go to Train", icon=":material/model_training:"):
        st.switch_page("pages/train.py", query_params={"run": run.id})


def _offer(run: Run) -> None:
    """A button that encodes the images with the weights that there are now."""
    key = f"encodings-completing-{run.id}"
    work: Task[bool] | None = st.session_state.get(key)
    if work is not None:
        if awaited(work, key, lambda: st.session_state.pop(key)) is not None:
            del st.session_state[key]
            st.rerun()
        return

    def made(progress: Progress) -> bool:
        from vae_core.child import in_process

        in_process(["complete", run.id], run, progress)
        return True

    if st.button(
        "Encode them now", icon=":material/scatter_plot:", key=f"{key}-start", **access.control()
    ):
        st.session_state[key] = access.acting(Task[bool])(made)
        st.rerun()
