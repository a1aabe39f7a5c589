"""Real images of a run, with what its model makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.live.resources import encodings_of
from vae_core.names import readable
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.survey import Survey
    from vae_core.loading import LoadedRun

MOST_IMAGES = 1000


@dataclass(frozen=True)
class RealImages:
    """Images uint8 [N, C, H, W], their surveys, the run's own model, and where they are from.

    survey: of the images as they are. as_trained: of what the encoder learns from, which is the
        same but for models that learn from corrupted images.
    """

    pictures: np.ndarray
    survey: Survey
    as_trained: Survey
    loaded: LoadedRun
    origin: str

    def names(self, chosen: Iterable[int]) -> list[str]:
        """What the files of these images are called, else their numbers."""
        files = self.survey.files
        return [readable(files[i]) if files else f"image {i + 1}" for i in chosen]


def images_of(run: Run) -> RealImages:
    """At most 1000 images: those that the run keeps where they are whole, else from its data set.

    Raises:
        UserError: when the data set is needed and not present, or the run is damaged.
    """
    return _images(run.path, weights_version(run))


@st.cache_resource(max_entries=2, show_spinner="Looking at the images")
def _images(path: Path, version: int | None) -> RealImages:
    ready_torch()
    from vae_core.data import ArrayImages, ImageSet
    from vae_core.data.samples import spread
    from vae_core.latent.survey import survey
    from vae_core.loading import load_part, load_run
    from vae_core.run_data import recorded_by
    from vae_core.types import Context

    run = Run(path)
    loaded, cached = load_run(run), encodings_of(run)
    if cached is not None and cached.thumbnails.shape[1:] == loaded.card.image_shape:
        part = ImageSet(ArrayImages(cached.thumbnails), cached.labels, files=cached.files)
        names = cached.label_names
        origin = "training images that the run keeps"
    else:
        # An older run did not record which images it held out: then any will do, named as such.
        split = "train" if recorded_by(run) is None else "validation"
        dataset, part = load_part(run, split)
        names = dataset.label_names
        origin = {"validation": "validation images", "train": "images of the data set"}[split]
    chosen = spread(part, MOST_IMAGES)
    pictures = part.images.gather(chosen)
    labels = None if part.labels is None else part.labels[chosen]
    files = tuple(part.files[i] for i in chosen) if part.files else ()
    shown = ImageSet(ArrayImages(pictures), labels, files=files)
    context = Context(loaded.step, train_images=loaded.card.n_train)
    about = (loaded.model, loaded.objective, shown, names, "shown", context)
    found = trained = survey(*about)
    if loaded.objective.corrupts:
        trained = survey(*about, corrupted=True)
    return RealImages(pictures, found, trained, loaded, origin)
