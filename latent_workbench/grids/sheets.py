"""What several kinds of sheets share: pictures decoded once, controls, and the real images."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.live.resources import encodings_of, model_of
from latent_workbench.shared.state import session
from vae_core.errors import UserError
from vae_core.imaging.png import tile
from vae_core.imaging.resize import shown
from vae_core.names import readable, shortened
from vae_core.runs import Run

if TYPE_CHECKING:
    from vae_core.latent.survey import Survey
    from vae_core.loading import LoadedRun

CHUNK = 128
QUIET_S = 0.5
MOST_CACHED = 8
LONGEST_NAME = 60
"""Characters of a file's name in a field; it is found by any of them."""

MOST_IMAGES = 1000


@dataclass(frozen=True)
class Sheet:
    """Pictures uint8 [R, C, channels, H, W] in rows and columns, with their names.

    run: whose latent space it is.
    row_titles, column_titles: what names say when they are pointed at, where that is more.
    vectors: [R, C, D], where each lies in it.
    moving: True where the columns are steps of a movement, to be saved as an animation.
    """

    run: Run
    name: str
    pictures: np.ndarray
    vectors: np.ndarray
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    across: str = ""
    upwards: str = ""
    title: str = ""
    row_titles: Sequence[str] = ()
    column_titles: Sequence[str] = ()
    moving: bool = False

    def whole(self) -> np.ndarray:
        """All pictures side by side, at full resolution: uint8 [channels, R·H, C·W]."""
        return tile(self.pictures.reshape(-1, *self.pictures.shape[2:]), self.pictures.shape[1])


@dataclass
class GridsState:
    """The pictures last decoded, by weights and vectors."""

    decoded: dict[object, np.ndarray] = field(default_factory=dict)


def decoded(run: Run, vectors: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The pictures of latents [..., D]: uint8 [..., C, H, W]; a bar shows once it takes long. A
    conditional model is told the labels [...], None for unknown ones."""
    from vae_core.latent.grids import decode_vectors

    version = (str(run.path), weights_version(run))
    of_labels = b"" if labels is None else labels.tobytes()
    key = (*version, hashlib.sha256(vectors.tobytes() + of_labels).hexdigest())
    cache = session(GridsState).decoded
    if key not in cache:
        model, flat = model_of(run), vectors.reshape(-1, vectors.shape[-1])
        parts, began, place = [], time.monotonic(), st.empty()
        for start in range(0, len(flat), CHUNK):
            here = slice(start, start + CHUNK)
            conditions = None if labels is None else labels.reshape(-1)[here]
            parts.append(decode_vectors(model, flat[here], conditions))
            if time.monotonic() - began > QUIET_S:
                place.progress(min(1.0, (start + CHUNK) / len(flat)), "Decoding the pictures")
        place.empty()
        cache[key] = np.concatenate(parts)
        while len(cache) > MOST_CACHED:
            cache.pop(next(iter(cache)))
    found = cache[key]
    return found.reshape(*vectors.shape[:-1], *found.shape[1:])


def ticks(values: np.ndarray) -> list[str]:
    """Steps along an axis as names of rows or columns, one length for all."""
    return [f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−") for value in values]


def image_number(run: Run, place: DeltaGenerator, label: str, **options: Any) -> int | None:
    """A field for an encoded image, by the name of its file or its number, counted from 1; None
    where it is empty. Raises UserError for damaged encodings."""
    encodings = encodings_of(run)
    if encodings is None:
        return choose_image(place, label, 1, (), disabled=True, **options)
    return choose_image(place, label, len(encodings.mu), encodings.files, **options)


def choose_image(
    place: DeltaGenerator, label: str, count: int, files: Sequence[str], **options: Any
) -> int | None:
    """A field for one of `count` images, by the name of its file where they have some, else by its
    number; counted from 1, None where it is empty."""
    if not files:
        number = place.number_input(label, 1, count, None, **options)
        return None if number is None else int(number)
    names = [shortened(readable(name), LONGEST_NAME) for name in files]
    chosen = place.selectbox(
        label, range(1, count + 1), None, format_func=lambda number: names[number - 1], **options
    )
    return None if chosen is None else int(chosen)


# --- real images, with what the model makes of them -----------------------------------------------


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

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """What a person is shown of the images at `rows` [M]: uint8 [M, 1 or 3, H, W]."""
        found: np.ndarray = self.seen(self.pictures[rows])
        return found

    def seen(self, images: Any) -> Any:
        """What a person is shown of images [..., C, H, W] of this run."""
        return shown(images, self.loaded.model.shown_channels)

    def names(self, chosen: Iterable[int]) -> list[str]:
        """What the files of these images are called, else their numbers."""
        files = self.survey.files
        return [readable(files[i]) if files else f"image {i + 1}" for i in chosen]


def images_of(run: Run) -> RealImages:
    """At most 1000 images: those that the run keeps where they are whole, else from its data set.
    Raises UserError where that is needed and not present, or the run is damaged."""
    return _images(run.path, weights_version(run))


@st.cache_resource(max_entries=2, show_spinner="Looking at the images")
def _images(path: Path, version: int | None) -> RealImages:
    ready_torch()
    from vae_core.data import ArrayImages
    from vae_core.data.images import subset
    from vae_core.data.samples import spread
    from vae_core.latent.survey import survey
    from vae_core.loading import load_part, load_run
    from vae_core.run_data import recorded_by
    from vae_core.types import Context

    run = Run(path)
    loaded, cached = load_run(run), encodings_of(run)
    if loaded.model.no_encoder:
        raise UserError(loaded.model.no_encoder)
    kept = None if cached is None else cached.as_images(loaded.card.image_shape)
    if cached is not None and kept is not None:
        part, names = kept, cached.label_names
        origin = "training images that the run keeps"
    else:
        # An older run did not record which images it held out: then any will do, named as such.
        split = "train" if recorded_by(run) is None else "validation"
        dataset, part = load_part(run, split)
        names = dataset.label_names
        origin = {"validation": "validation images", "train": "images of the data set"}[split]
    chosen = spread(part, MOST_IMAGES)
    pictures = part.images.gather(chosen)
    looked_at = replace(subset(part, chosen), images=ArrayImages(pictures))
    context = Context(loaded.step, train_images=loaded.card.n_train)
    about = (loaded.model, loaded.objective, looked_at, names, "shown", context)
    found = trained = survey(*about)
    if loaded.objective.corrupts:
        trained = survey(*about, corrupted=True)
    return RealImages(pictures, found, trained, loaded, origin)
