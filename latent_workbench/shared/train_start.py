"""What the form on Train is to begin with: own images, or the settings or weights of a run."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from latent_workbench.shared.state import put_widget_value, session
from vae_core.data import datasets
from vae_core.errors import UserError
from vae_core.runs import Run, Store

OWN_IMAGES = "folder"
DATASET = "train-dataset"


@dataclass
class TrainStart:
    """run_id: whose settings the form offers; weights: with its weights to start from.

    number: of the wish, so that one and the same run may be asked for anew.
    dataset: what is to be chosen when the form is drawn next, "" for what stands there.
    """

    run_id: str = ""
    weights: bool = False
    number: int = 0
    dataset: str = ""

    @property
    def recipe(self) -> str:
        """The name of the recipe that stands for it; "" where there is none."""
        return f"run {self.number}" if self.run_id else ""

    @property
    def run(self) -> Run | None:
        """That run, as long as it is there."""
        try:
            return Store().get(self.run_id) if self.run_id else None
        except UserError:
            return None


def recipe_key(dataset: str) -> str:
    """Streamlit's key of the list of recipes for a data set."""
    return f"train-recipe-{dataset}"


def train_on_own_images() -> None:
    """Go to Train, where images can be uploaded at once."""
    session(TrainStart).dataset = OWN_IMAGES
    st.switch_page("pages/train.py")


def train_like(run: Run, *, weights: bool = False) -> None:
    """Put the settings of a run into the form, once it is drawn, or its weights to start from.

    Raises:
        UserError: when its configuration is damaged, or it was not trained here.
    """
    run.require_trained_here()
    start = session(TrainStart)
    start.dataset = run.config().data.dataset
    start.run_id, start.weights, start.number = run.id, weights, start.number + 1


def apply_start() -> TrainStart:
    """Before the form is drawn: choose in it what was asked for since."""
    start = session(TrainStart)
    if start.run_id and start.run is None:
        start.run_id = ""
    if start.dataset:
        put_widget_value(DATASET, start.dataset)
        of_any = [entry.name for entry in datasets] if start.weights else [start.dataset]
        for name in of_any if start.recipe else ():
            put_widget_value(recipe_key(name), start.recipe)
        start.dataset = ""
    return start
