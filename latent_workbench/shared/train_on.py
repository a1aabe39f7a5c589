"""Chosen images as what the form on Train is to learn from, or to leave out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from latent_workbench.shared.formatting import escape_markdown
from latent_workbench.shared.state import session
from latent_workbench.shared.train_start import train_like
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.runs import Run

COPIED = (
    "data_dir", "image_size", "channels", "resize", "window", "binarise", "validation_fraction",
)  # fmt: skip
"""Of the run in which they were chosen: so that its images are the same ones."""

USES = {"only": "Train on these", "without": "Leave these out"}


@dataclass
class TrainOn:
    """dataset: of the run in which they were chosen; data: its settings, and the selection."""

    dataset: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def applied(self, config: RunConfig) -> RunConfig:
        """The configuration for these images, where it is of their data set."""
        if not self.dataset or config.data.dataset != self.dataset:
            return config
        return config.updated({"data": self.data})


def train_on(run: Run, reference: str, use: str) -> None:
    """Go to Train with the settings of `run` and a selection of its images.

    Raises:
        UserError: to leave images out of those of a run that learns from a selection itself.
    """
    run.require_trained_here()
    data = run.config().data
    if use == "without" and data.selection is not None:
        raise UserError(
            f"Run {run.id!r} learns from a selection itself. Select the images that are to stay, "
            f"and choose “{USES['only']}”."
        )
    start = session(TrainOn)
    start.dataset = data.dataset
    start.data = {name: getattr(data, name) for name in COPIED}
    start.data |= {"selection": reference, "selection_use": use}
    train_like(run)
    st.switch_page("pages/train.py")


def chosen_images(dataset: str) -> None:
    """What the form learns from while it is a selection, and a way back to all images."""
    start = session(TrainOn)
    if not start.dataset or start.dataset != dataset:
        return
    use, reference = start.data["selection_use"], start.data["selection"]
    words, button = st.columns([3, 1], vertical_alignment="center")
    said = "Learns from selection" if use == "only" else "Learns from all but selection"
    name, _, run = reference.rpartition("@")
    words.info(f"{said} “{escape_markdown(name)}” of run {run}.", icon=":material/lasso_select:")
    if button.button("Use all", key="train-use-all", help="Learn from every image again"):
        start.dataset, start.data = "", {}
        st.rerun()
