"""The images of a whole part, opened when one of them is wanted: points do not wait for them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import streamlit as st

from latent_workbench.live.images import DATASETS, images_of
from latent_workbench.shared.task import Task
from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.runs import Run


@dataclass(frozen=True)
class PartImages:
    """The `count` images of a part of a run's data set, opened with the first that is gathered."""

    run: Run
    split: str
    count: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return self.count, *self.run.data_card().image_shape

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W].

        Raises:
            UserError: when the data set is not present, or no longer the one that was encoded.
        """
        found = images_of(self.run, self.split)
        if found.shape != self.shape:
            raise UserError(
                f"The data set has {found.shape[0]} images of this part, and {self.count} were "
                "encoded. Put back the data set that the run was trained on."
            )
        return found.gather(indices)

    @property
    def is_open(self) -> bool:
        """True once the data set is there to gather from."""
        return DATASETS.peek(self.run) is not None

    def open(self) -> None:
        """Begin to open the data set, so that the first image waits for less."""
        if not self.is_open:
            Task(lambda progress: DATASETS.get(self.run))


def sign_of_opening(images: Images) -> AbstractContextManager[None]:
    """Says that the data set is being opened, where whoever gathers from it has to wait."""
    if isinstance(images, PartImages) and not images.is_open:
        return st.spinner("Opening the data set")
    return nullcontext()
