"""Images with their scores and pictures: a part of the run's own, or new ones."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from latent_workbench.encodings.encoded_images import (
    BY_KEY,
    CACHED,
    QUICKLY_COMPARED,
    EncodedImages,
    PartImages,
)
from latent_workbench.live.images import part_of_run
from latent_workbench.live.models import ready_torch, weights_version
from latent_workbench.live.resources import encodings_of, model_of
from latent_workbench.shared.state import session
from latent_workbench.shared.tasks import Task, command, result_of
from vae_core.data import ArrayImages, ImageSet, Progress
from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.runs import Run, derived, layout

if TYPE_CHECKING:
    from vae_core.latent.explanation import Explanation
    from vae_core.latent.search import NearestEncodings
    from vae_core.score_images import Scored


@dataclass(frozen=True)
class ScoredImages:
    """Scores with what they are of; row i of one is image i of the other.

    images, learned: the pictures as they are shown, and those of `scored.reference`. whole: that of
    a row as the model sees it. key: changes with anything that changes them. is_full: whether all
    scores are known, and not only those that can be told at once.
    """

    run: Run
    scored: Scored
    images: Images
    learned: Images
    whole: Callable[[int], ImageSet]
    key: str
    is_full: bool = True

    def name(self, row: int) -> str:
        """What a person calls an image."""
        return self.scored.survey.name(row)

    def label(self, row: int) -> str:
        """What it is called besides, "" where nobody knows."""
        survey = self.scored.survey
        return "" if survey.labels is None else survey.label_name(int(survey.labels[row]))

    def told(self, row: int) -> np.ndarray | None:
        """The label that a model which has to be told one is told: int64 [1]."""
        from vae_core.families import families

        labels = self.scored.survey.labels
        if labels is None or not families[self.run.config().family].needs_labels:
            return None
        return labels[[row]]

    def explanation(self, row: int) -> Explanation:
        """Where an image's loss lies.

        Raises:
            UserError: when it is not at hand.
        """
        from vae_core.data.batches import mask_at
        from vae_core.latent.explanation import explain

        one, model = self.whole(row), model_of(self.run)
        image = one.images.gather(np.array([0]))
        return explain(model, image, self.told(row), mask_at(one, slice(1), model.device))

    def decoded(self, vectors: np.ndarray, row: int) -> np.ndarray:
        """Pictures of latents [N, D], told the label of the image of `row`."""
        from vae_core.latent.grids import decode_vectors

        label = self.told(row)
        told = None if label is None else np.repeat(label, len(vectors))
        return decode_vectors(model_of(self.run), vectors, told)


BY_SCORES: Any = {ScoredImages: attrgetter("key")}


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_SCORES)
def search_of(found: ScoredImages, normal: tuple[str, ...] | None) -> tuple[Any, np.ndarray]:
    """Search among those that were learned from, of `normal` labels alone where these are chosen:
    what finds places, and the rows int64 [M] of the reference that places stand for."""
    from vae_core.latent.search import NearestEncodings

    reference = found.scored.reference
    rows = np.arange(len(reference))
    if normal is not None and reference.labels is not None:
        names = [reference.label_name(label) for label in range(int(reference.labels.max()) + 1)]
        chosen = np.isin(names, normal)[reference.labels]
        rows = np.flatnonzero(chosen) if chosen.any() else rows
    search: NearestEncodings = NearestEncodings(reference.mu[rows])
    return search, rows


# --- a part of the run's own images ---------------------------------------------------------------


@dataclass
class AskedScores:
    """keys: of the images, of a large data set, whose scores somebody has asked for."""

    keys: set[str] = field(default_factory=set)


def scores_of_part(encoded: EncodedImages) -> ScoredImages:
    """The scores of the images that the page is about: at first those that can be told at once,
    while a bar shows how far the others are, or a button offers them."""
    full = _full(encoded)
    scored = _at_once(encoded) if full is None else full
    learned = encoded.images if full is None else _learned(encoded.run, full)
    key = f"{encoded.key}/{'quick' if full is None else 'full'}"
    one = _one_of(encoded, scored)
    return ScoredImages(encoded.run, scored, encoded.images, learned, one, key, full is not None)


def _one_of(encoded: EncodedImages, scored: Scored) -> Callable[[int], ImageSet]:
    """An image as the model sees it: the thumbnail that a run keeps where that is all of it, else
    from the data set."""

    def one(row: int) -> ImageSet:
        from vae_core.data.images import subset

        run, hashes = encoded.run, scored.survey.hashes
        if encoded.is_cached:
            kept = encodings_of(run)
            whole = None if kept is None else kept.as_images(run.data_card().image_shape)
            if whole is not None:
                return subset(whole, np.array([row]))
        part = part_of_run(run, "train" if encoded.is_cached else encoded.split)
        same = np.zeros(len(part), bool) if hashes is None else part.known_hashes == hashes[row]
        found = np.flatnonzero(same)
        if not len(found):
            raise UserError("This image is no longer in the data set, so its loss is not known.")
        return subset(part, found[:1])

    return one


def _full(encoded: EncodedImages) -> Scored | None:
    run, split = encoded.run, encoded.split
    card = run.data_card()
    if (
        card.n_train + card.n_validation > QUICKLY_COMPARED
        and encoded.key not in session(AskedScores).keys
        and not _is_kept(run, split)
    ):
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.caption(
            "These scores hold the images against nothing yet. More are known once all that the "
            "model learned from are encoded, with the chance of a false alarm for each."
        )
        if button.button("Score with all images", key="outliers-ask", width="stretch"):
            session(AskedScores).keys.add(encoded.key)
            st.rerun()
        return None
    work = _scored(run.path, encoded.key, split)
    found = result_of(
        work,
        f"scores-{run.id}-{split}",
        lambda: _scored.clear(run.path, encoded.key, split),
        st.info,
    )
    return None if found is None or len(found.survey) != len(encoded.survey) else found


def _is_kept(run: Run, split: str) -> bool:
    try:
        return (derived.derived_folder(run).path / layout.scored(split)).exists()
    except UserError:
        return False


@st.cache_resource(max_entries=4, show_spinner=False)
def _scored(path: Path, key: str, split: str) -> Task[Scored]:
    run = Run(path)

    def work(progress: Progress) -> Scored:
        ready_torch()
        from vae_core.score_images import load_scored

        found = load_scored(run, split)
        if found is None:
            command(run, "score-images", run.id, "--split", split, "--keep", split)(progress)
            found = load_scored(run, split)
        return _required(found)

    return Task(work)


def _required(found: Scored | None) -> Scored:
    if found is None:
        raise UserError(
            "The scores were made and could not be kept, as the cache cannot be written; the log "
            "of the app says why."
        )
    return found


@st.cache_resource(max_entries=4, show_spinner="Comparing the images", hash_funcs=BY_KEY)
def _at_once(encoded: EncodedImages) -> Scored:
    from vae_core.score_images import told_at_once

    return told_at_once(encoded.survey)


def _learned(run: Run, scored: Scored) -> Images:
    reference = scored.reference
    if reference.split != CACHED:
        return PartImages(run, reference.split, len(reference))
    kept = encodings_of(run)
    assert kept is not None, "what was held against them has just been read"
    return ArrayImages(kept.thumbnails)


# --- new images -----------------------------------------------------------------------------------


TURNS = threading.BoundedSemaphore(2)
"""How many have new images scored at once: whoever may look may, and each is a process."""


@contextmanager
def _turn(progress: Progress) -> Iterator[None]:
    while not TURNS.acquire(timeout=0.5):
        progress("Waiting for others, who have images scored", None)
    try:
        yield
    finally:
        TURNS.release()


@dataclass(frozen=True)
class Shown:
    """Images as a person is shown them, of `channels` where they have many."""

    whole: Images
    channels: tuple[int, int, int] | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        count, channels, height, width = self.whole.shape
        return count, 1 if channels < 3 else 3, height, width

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, 1 or 3, H, W]."""
        from vae_core.imaging.resize import shown

        pictures: np.ndarray = shown(self.whole.gather(indices), self.channels)
        return pictures


def scoring_new(run: Run, path: str) -> Task[ScoredImages]:
    """Have pictures at `path` taken through the model, in a process of its own."""
    place = Path(os.path.abspath(path))  # begins with no dash, as an option would
    version = weights_version(run)

    def work(progress: Progress) -> ScoredImages:
        ready_torch()
        from vae_core.score_images import load_scored, new_images

        name = f"new-{secrets.token_hex(8)}"
        try:
            with _turn(progress):
                command(run, "score-images", run.id, str(place), "--keep", name)(progress)
            scored = _required(load_scored(run, name))
        finally:
            derived.drop(run, layout.scored(name))
        part, *_ = new_images(run, [place], progress)  # from the cache, where they are prepared
        before, now = scored.survey.hashes, part.hashes
        if before is None or now is None or not np.array_equal(before, now):
            raise UserError("The images have changed while they were scored; score them again.")
        key = f"{run.path}/{version}/{name}"
        from vae_core.data.images import subset

        return ScoredImages(
            run,
            scored,
            Shown(part.images, run.config().data.shown_channels),
            _learned(run, scored),
            lambda row: subset(part, np.array([row])),
            key,
        )

    return Task(work)
