"""Encodings that a stopped training has left out, made when somebody wants them."""

from __future__ import annotations

import streamlit as st

from latent_workbench.shared.formatting import grouped
from latent_workbench.shared.tasks import job_button, job_shown
from vae_core.runs import ACTIVE, Run


def outdated_encodings(run: Run) -> None:
    """Say that the encodings are not those of the weights, and offer to make them."""
    from vae_core.completion import is_complete
    from vae_core.latent.encodings import encoded_step

    if is_complete(run) or job_shown(_key(run)):
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
    if job_shown(_key(run)):
        return
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


def _key(run: Run) -> str:
    return f"encodings-completing-{run.id}"


def _offer(run: Run) -> None:
    """A button that has the images encoded with the weights that there are now."""
    icon = ":material/scatter_plot:"
    job_button(_key(run), "Encode them now", icon, run, "complete", run.id)
