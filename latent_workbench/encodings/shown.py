"""The images that the page is about: those that the run keeps, or a whole part of its data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.encodings.part_images import PartImages
from latent_workbench.live.loaded import encodings_of, encodings_version, model_of
from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.shared.numbers import images
from latent_workbench.shared.task import Task
from latent_workbench.shared.waiting import awaited
from vae_core.data import Progress
from vae_core.data.dataset import Images
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.neighbours import Neighbours
    from vae_core.latent.survey import Survey

CACHED = "cached"
KEPT = "Kept with the run"
QUICKLY_COMPARED = 10_000
"""Up to so many images their neighbours are looked for without being asked."""


def parts_of(run: Run) -> dict[str, str]:
    """The images that can be chosen, with what they are called: parts that the run has.

    Raises:
        UserError: when the run's data card is missing or damaged.
    """
    card = run.data_card()
    # Without digests the run is of a time when it did not record its parts: its validation images
    # cannot be told from those it learned from.
    held_out = card.n_validation if card.digest else 0
    counts = {"train": card.n_train, "validation": held_out, "test": card.n_test}
    return {CACHED: KEPT} | {
        split: f"All {images(count, split)}" for split, count in counts.items() if count
    }


@dataclass(frozen=True)
class Shown:
    """A survey with its images; row i of one is image i of the other.

    key: changes with anything that changes them.
    """

    run: Run
    survey: Survey
    images: Images
    key: str

    @property
    def split(self) -> str:
        return self.survey.split

    @property
    def told(self) -> str:
        """What stands beside a figure: "3 000 training images"."""
        return images(len(self.survey), self.split)

    @property
    def kept(self) -> bool:
        """True for the images whose thumbnails the run keeps."""
        return self.split == CACHED

    def decoded(self, vectors: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Pictures of latents [N, D], which a conditional model is told the labels of."""
        from vae_core.latent.grids import decode_vectors

        return decode_vectors(model_of(self.run), vectors, labels)

    def name(self, row: int) -> str:
        """What a person calls an image: its file, else its place in the data."""
        survey = self.survey
        if survey.files:
            return survey.files[row].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        part = "training" if self.kept or survey.split == "train" else survey.split
        return f"{part} image {int(survey.indices[row]) + 1}"


def shown_of(run: Run, split: str) -> Shown | None:
    """The images of a part; None while they are encoded, which the page then shows.

    Raises:
        UserError: when encodings are damaged or not finite.
    """
    from vae_core.latent.survey import finite

    version = f"{weights_version(run)}/{encodings_version(run)}"
    if split == CACHED:
        found: Shown | None = _kept(run.path, version)
    else:
        work = _whole(run.path, version, split)
        key = f"{split}-{run.id}"
        found = awaited(work, key, lambda: _whole.clear(run.path, version, split))
    if found is not None:
        finite(found.survey.mu, "encoding")
    return found


def neighbours_of(shown: Shown) -> Task[Neighbours]:
    """The neighbours of every image, looked for once and off the script."""
    return _neighbours(shown.key, shown)


def forget_neighbours(shown: Shown) -> None:
    """Look for them again the next time that they are asked for."""
    _neighbours.clear(shown.key, shown)


@st.cache_resource(max_entries=4, show_spinner=False)
def _neighbours(key: str, _shown: Shown) -> Task[Neighbours]:
    from vae_core.latent.neighbours import nearest_neighbours

    return Task(lambda progress: nearest_neighbours(_shown.survey.mu, progress=progress))


@st.cache_resource(max_entries=3, show_spinner="Measuring the images")
def _kept(path: Path, version: str) -> Shown:
    """The encodings that the run keeps; measured where its thumbnails are the images themselves."""
    ready_torch()
    from vae_core.analysis import survey_of
    from vae_core.data import ArrayImages, ImageSet
    from vae_core.latent.survey import survey
    from vae_core.loading import load_run
    from vae_core.types import Context

    run = Run(path)
    kept, found = encodings_of(run), survey_of(run, CACHED)
    assert kept is not None
    pictures = ArrayImages(kept.thumbnails)
    loaded = load_run(run)
    if pictures.shape[1:] == loaded.card.image_shape and np.isfinite(kept.mu).all():
        part = ImageSet(pictures, kept.labels)
        context = Context(loaded.step, train_images=loaded.card.n_train)
        measured = survey(loaded.model, loaded.objective, part, (), CACHED, context)
        found = replace(found, recon=measured.recon, kl=measured.kl, kl_error=measured.kl_error)
    return Shown(run, found, pictures, f"{path}/{version}/{CACHED}")


@st.cache_resource(max_entries=2, show_spinner=False)
def _whole(path: Path, version: str, split: str) -> Task[Shown]:
    run = Run(path)

    def work(progress: Progress) -> Shown:
        ready_torch()
        from vae_core.analysis import survey_of
        from vae_core.child import in_process
        from vae_core.latent.survey_cache import load_survey
        from vae_core.loading import weights_step

        if load_survey(run, split, weights_step(run)) is None:
            in_process(["encode", run.id, "--split", split], run, progress)
        survey = survey_of(run, split)
        pictures = PartImages(run, split, len(survey))
        return Shown(run, survey, pictures, f"{path}/{version}/{split}")

    return Task(work)
