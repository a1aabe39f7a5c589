"""The images that the page is about, with their encodings: those that the run keeps, or a whole
part of its data, whose images are opened when one of them is wanted."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from latent_workbench.live.images import DATASETS, images_of
from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.live.resources import encodings_version, model_of
from latent_workbench.shared import access
from latent_workbench.shared.formatting import grouped, image_count
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import (
    Task,
    command,
    job_button,
    job_shown,
    result_of,
    start_job,
)
from vae_core.data import Progress
from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Run, part_name

if TYPE_CHECKING:
    from vae_core.latent.neighbours import Neighbours
    from vae_core.latent.survey import Survey

CACHED, DRAWN = "cached", "drawn"
QUICKLY_COMPARED = 10_000
"""Up to so many images their neighbours are looked for without being asked."""


def splits_of(run: Run) -> dict[str, str]:
    """What the parts of the run are called; raises UserError without a sound data card."""
    card = run.data_card()
    # Without digests the run is of a time when it did not record its parts: its validation images
    # cannot be told from those it learned from.
    held_out = card.n_validation if card.digest else 0
    counts = {"train": card.n_train, "validation": held_out, "test": card.n_test}
    return {CACHED: "Kept with the run"} | {
        split: f"All {image_count(count, split)}" for split, count in counts.items() if count
    }


@dataclass(frozen=True)
class EncodedImages:
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
    def part(self) -> str:
        """As `image_count` calls what they are."""
        return DRAWN if is_drawn(self.run) else self.split

    @property
    def origin(self) -> str:
        """Where they are from: "of the training part"."""
        drawn = self.part == DRAWN
        return "drawn from N(0, I)" if drawn else f"of the {part_name(self.part)} part"

    @property
    def description(self) -> str:
        """What stands beside a figure: "3 000 training images"."""
        return image_count(len(self.survey), self.part)

    @property
    def is_cached(self) -> bool:
        """True for the images whose thumbnails the run keeps."""
        return self.split == CACHED

    def decoded(self, vectors: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Pictures of latents [N, D], which a conditional model is told the labels of."""
        from vae_core.latent.grids import decode_vectors

        return decode_vectors(model_of(self.run), vectors, labels)

    def name(self, row: int) -> str:
        """What a person calls an image: its file, else its place in the data."""
        return self.survey.name(row)


def told_gone(run: Run) -> bool:
    """Say that a run was deleted while a page showed it; False where it was not."""
    if run.path.is_dir():
        return False
    st.warning(f"There is no run called {run.id!r} any more. Choose another one.")
    return True


BY_KEY: Any = {EncodedImages: attrgetter("key")}
"""How a cache tells encoded images apart."""


def load_encoded(run: Run, split: str) -> EncodedImages | None:
    """The images of a part; None while they are encoded, which the page then shows. Raises
    UserError for encodings that are damaged or not finite."""
    from vae_core.latent.survey import finite

    version = f"{weights_version(run)}/{encodings_version(run)}"
    if split == CACHED:
        found: EncodedImages | None = _cached(run.path, version)
    else:
        work = _surveyed(run.path, version, split)
        key = f"{split}-{run.id}"
        found = result_of(work, key, lambda: _surveyed.clear(run.path, version, split))
    if found is not None:
        finite(found.survey.mu, "encoding")
    return found


@dataclass
class Compared:
    """keys: of the images, many, whose neighbours somebody has asked for."""

    keys: set[str] = field(default_factory=set)


def is_compared(encoded: EncodedImages) -> bool:
    """Whether neighbours are looked for: unasked among few images, once asked among many."""
    return len(encoded.survey) <= QUICKLY_COMPARED or encoded.key in session(Compared).keys


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_KEY)
def neighbours_of(encoded: EncodedImages) -> Task[Neighbours]:
    """The neighbours of every image, looked for once and off the script."""
    from vae_core.latent.neighbours import nearest_neighbours

    return Task(lambda progress: nearest_neighbours(encoded.survey.mu, progress=progress))


@st.cache_resource(max_entries=3, show_spinner="Measuring the images")
def _cached(path: Path, version: str) -> EncodedImages:
    """The encodings that the run keeps, with what can be told of their images."""
    ready_torch()
    from vae_core.analysis import kept_images

    run = Run(path)
    return EncodedImages(run, *kept_images(run), f"{path}/{version}/{CACHED}")


@st.cache_resource(max_entries=2, show_spinner=False)
def _surveyed(path: Path, version: str, split: str) -> Task[EncodedImages]:
    run = Run(path)

    def work(progress: Progress) -> EncodedImages:
        ready_torch()
        from vae_core.analysis import survey_of
        from vae_core.latent.survey import load_survey
        from vae_core.loading import weights_step

        if load_survey(run, split, weights_step(run)) is None:
            command(run, "encode", run.id, "--split", split)(progress)
        survey = survey_of(run, split)
        pictures = PartImages(run, split, len(survey))
        return EncodedImages(run, survey, pictures, f"{path}/{version}/{split}")

    return Task(work)


# --- where there are no encodings, or those of an earlier step ------------------------------------


@dataclass
class Completed:
    """The weights for which this session has had the images encoded, whether it came to an end or
    not: (folder of the run, step)."""

    weights: set[tuple[Path, int | None]] = field(default_factory=set)


def outdated_encodings(run: Run) -> None:
    """Say that the encodings are not those of the weights, and have them made anew."""
    from vae_core.completion import is_complete
    from vae_core.latent.encodings import encoded_step

    if is_complete(run):
        return
    st.info(
        f"The training ended before its images were encoded anew. What you see is of step "
        f"{grouped(encoded_step(run) or 0)}, the weights are of step "
        f"{grouped(run.weights_step() or 0)}."
    )
    _complete(run)


def is_drawn(run: Run) -> bool:
    """True where the points are draws, of a network that came without an encoder."""
    return run.brought() is not None and not run.data_card().n_train


def drawn_instead(run: Run) -> None:
    """Say that the points are draws, of a network that came without an encoder."""
    if not is_drawn(run):
        return
    st.info(
        "The points are draws from N(0, I), shown with the pictures that the decoder makes of "
        f"them. {model_of(run).no_encoder}"
    )


def no_encodings(run: Run) -> None:
    """Have them made, or say what to do, where there are none."""
    if run.weights_step() is not None and run.status().state not in ACTIVE:
        st.info("This run has no encodings yet: its training ended before they were made.")
        _complete(run)
        return
    st.info(
        "This run has no encodings yet: they are cached when an epoch ends, after the first few of "
        "a small data set. Train it a little, then come back."
    )
    if st.button("Go to Train", icon=":material/model_training:"):
        st.switch_page("pages/train.py", query_params={"run": run.id})


def _complete(run: Run) -> None:
    """Have the images encoded with the weights that there are now: at once for who comes to see
    them, and by a button once that was stopped."""
    key, weights = f"encodings-completing-{run.id}", (run.path, run.weights_step())
    begun = session(Completed).weights
    if job_shown(key):
        return
    if weights not in begun and not access.read_only_reason():
        begun.add(weights)
        start_job(key, command(run, "complete", run.id))
    icon = ":material/scatter_plot:"
    job_button(key, "Encode them now", icon, run, "complete", run.id)


# --- images of a whole part -----------------------------------------------------------------------


@dataclass(frozen=True)
class PartImages:
    """The `count` images of a part of a run's data set as they are shown, opened with the first
    that is gathered."""

    run: Run
    split: str
    count: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        channels, *size = self.run.data_card().image_shape
        return self.count, 1 if channels < 3 else 3, size[0], size[1]

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, 1 or 3, H, W].

        Raises:
            UserError: when the data set is not present, or no longer the one that was encoded.
        """
        found = images_of(self.run, self.split)
        if found.shape[0] != self.count or found.shape[1:] != self.run.data_card().image_shape:
            raise UserError(
                f"The data set has {found.shape[0]} images of this part, and {self.count} were "
                "encoded. Put back the data set that the run was trained on."
            )
        from vae_core.imaging.resize import shown

        pictures: np.ndarray = shown(found.gather(indices), self.run.config().data.shown_channels)
        return pictures

    @property
    def is_open(self) -> bool:
        """True once the data set is there to gather from."""
        return DATASETS.peek(self.run) is not None

    def open(self) -> None:
        """Begin to open the data set, so that the first image waits for less."""
        if not self.is_open:
            Task(lambda progress: DATASETS.get(self.run))


def opening_spinner(images: Images) -> AbstractContextManager[None]:
    """Says that the data set is being opened, where whoever gathers from it has to wait."""
    if isinstance(images, PartImages) and not images.is_open:
        return st.spinner("Opening the data set")
    return nullcontext()
