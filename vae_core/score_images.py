"""New images through a trained model: how well it explains them, and how strange they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.analysis import CACHED, images_within, kept_images, survey_of
from vae_core.data import Dataset, Images, ImageSet, Progress, no_progress
from vae_core.data.hashes import hashed_part, match_hashes
from vae_core.data.images import SubsetImages
from vae_core.data.labels import folder_labels, known_folder_labels, numbered
from vae_core.data.meanings import Texts
from vae_core.data.new_images import load_new_images
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.latent.detection import Detection, detection
from vae_core.latent.directions import principal_directions
from vae_core.latent.novelty import (
    NEIGHBOURS,
    PixelModel,
    Reference,
    examine,
    finite_ones,
    novelties,
    scores,
    tail_shares,
)
from vae_core.latent.survey import Survey, load_survey, survey
from vae_core.loading import WHICH, LoadedRun, load_run, weights_step
from vae_core.losses.conventions import BERNOULLI
from vae_core.run_data import dataset_of
from vae_core.runs import Run, Tensors, derived, in_words, layout
from vae_core.types import Context

MOST_TRIED = 200
"""Labels that are tried where a model has to be told one and nobody knows it."""


@dataclass(frozen=True)
class Baseline:
    """A run's own images, for others to be held against.

    reference: those that it learned from. normal: each score of its validation images; {} where
    they are not at hand. notes: what was not at hand, and what that means. dataset: None where it
    is not at hand.
    """

    reference: Reference
    normal: Mapping[str, np.ndarray]
    notes: tuple[str, ...]
    dataset: Dataset | None


@dataclass(frozen=True)
class Scored:
    """N images with all that is told of them.

    survey: their encodings and nats, with labels where they are known. reference: of the images
    that they were held against. places int64 [N, k], distances float32 [N, k]: the nearest of
    those. scores: float64 [N] by name, higher is stranger. normal: those of the run's validation
    images, [M] by name; {} where they are not at hand. place: float32 [N, 2] on the map of
    principal components.
    """

    survey: Survey
    reference: Survey
    places: np.ndarray
    distances: np.ndarray
    scores: Mapping[str, np.ndarray]
    normal: Mapping[str, np.ndarray]
    place: np.ndarray
    notes: tuple[str, ...]

    @property
    def p_values(self) -> dict[str, np.ndarray]:
        """Of each score with a baseline, the share of validation images that are as strange: [N],
        see `tail_shares`."""
        return {
            name: tail_shares(values, self.normal[name])
            for name, values in self.scores.items()
            if name in self.normal
        }

    def strange(self, normal_labels: Sequence[str]) -> np.ndarray | None:
        """Which images have another label than one of `normal_labels`: bool [N]; None where they
        have none."""
        labels = self.survey.labels
        if labels is None:
            return None
        known, which = np.unique(labels, return_inverse=True)
        names = [self.survey.label_name(int(label)) for label in known]
        return ~np.isin(names, list(normal_labels))[which]

    def detections(self, normal_labels: Sequence[str]) -> dict[str, Detection]:
        """How well each score tells images with other labels from those with `normal_labels`."""
        strange = self.strange(normal_labels)
        if strange is None:
            return {}
        found = {name: detection(values, strange) for name, values in self.scores.items()}
        return {name: each for name, each in found.items() if each is not None}


def baseline(
    run: Run,
    data_dir: str | None = None,
    which: str = "last",
    k: int = NEIGHBOURS,
    progress: Progress = no_progress,
) -> Baseline:
    """What a run's own images give; where they are not at hand, the encodings that it keeps.

    Raises:
        UserError: when neither is there.
    """
    # Levels are told apart as a density tells values, but for a constant.
    density = load_run(run, which=which).model.likelihood.error != BERNOULLI
    try:
        learned = survey_of(run, "train", data_dir, progress, which)
        dataset = dataset_of(run, data_dir, progress)
        pixels = PixelModel.fit(images_within(dataset, learned), density, progress)
    except UserError as missing:
        kept = survey_of(run, CACHED, which=which)
        note = (
            f"The images of run {run.id!r} are not at hand, so these are held against the "
            f"{in_words(len(kept), CACHED)} whose encodings it keeps; there are no p-values and no "
            f"likelihood ratio. {missing}"
        )
        return Baseline(Reference(kept, None), {}, (note,), None)
    reference, notes = Reference(learned, pixels), [learned.note]
    try:
        held_out = survey_of(run, "validation", data_dir, progress, which)
        images = images_within(dataset, held_out)
        normal = scores(examine(held_out, images, reference, k, progress))
        notes.append(held_out.note)
    except UserError as missing:
        normal = {}
        notes.append(f"There are no validation images to compare with, so no p-values. {missing}")
    return Baseline(reference, normal, tuple(dict.fromkeys(filter(None, notes))), dataset)


def score_images(
    run: Run,
    paths: Sequence[Path],
    data_dir: str | None = None,
    which: str = "last",
    k: int = NEIGHBOURS,
    progress: Progress = no_progress,
) -> Scored:
    """Read pictures as the run's own were read, and hold them against those.

    Args:
        paths: folders, archives and single pictures.
        data_dir: where the run's data set lies on this machine, in place of where it lay.
        k: the neighbour whose distance is the score `knn`.

    Raises:
        UserError: when a path holds no picture, or the run has no usable weights.
    """
    loaded = load_run(run, which=which).sound()
    part, said, notes = new_images(run, paths, progress)
    own = baseline(run, data_dir, which, k, progress)
    found, more = _surveyed(loaded, part, said, progress)
    return _held_against(own, found, part.images, k, (*notes, *more), progress)


def new_images(
    run: Run, paths: Sequence[Path], progress: Progress = no_progress
) -> tuple[ImageSet, Texts | None, tuple[str, ...]]:
    """Pictures read as the run's own were read, what is said to be their labels, and what was left
    out of them.

    Raises:
        UserError: when a path holds no picture.
    """
    shape = run.data_card().image_shape
    part, said, notes = load_new_images(paths, run.config().data, shape, progress)
    return hashed_part(part), said, notes


def score_part(
    run: Run,
    split: str,
    data_dir: str | None = None,
    which: str = "last",
    k: int = NEIGHBOURS,
    progress: Progress = no_progress,
) -> Scored:
    """Hold a part of a run's own images against those that it learned from; each against others.

    Args:
        split: train, validation, test or "cached".

    Raises:
        UserError: when the run has no usable weights, or the part is not at hand.
    """
    load_run(run, which=which).sound()
    own = baseline(run, data_dir, which, k, progress)
    images: Images | None
    notes: tuple[str, ...] = ()
    if split == CACHED:
        found, images = _kept(run, own)
    else:
        found = survey_of(run, split, data_dir, progress, which)
        try:
            images = images_within(own.dataset or dataset_of(run, data_dir, progress), found)
        except UserError as missing:  # what the survey tells is told all the same
            images, notes = None, (f"There are no scores that need pixels. {missing}",)
    return _held_against(own, found, images, k, notes, progress)


def _kept(run: Run, own: Baseline) -> tuple[Survey, Images | None]:
    """The images that the run keeps: whole where its data set is at hand, else their thumbnails
    where these are the images themselves."""
    found, thumbnails = kept_images(run)
    learned = own.reference.survey
    if own.dataset is not None and found.hashes is not None and learned.hashes is not None:
        rows = match_hashes(found.hashes, learned.hashes)
        if (rows >= 0).all():
            whole = SubsetImages(images_within(own.dataset, learned), rows)
            return replace(learned.rows(rows), split=CACHED), whole
    whole_images = thumbnails.shape[1:] == run.data_card().image_shape
    return found, thumbnails if whole_images else None


def _held_against(
    own: Baseline,
    found: Survey,
    images: Images | None,
    k: int,
    notes: tuple[str, ...],
    progress: Progress,
) -> Scored:
    examined = examine(found, images, own.reference, k, progress)
    reference = own.reference.survey
    axes = principal_directions(reference.mu)
    place = ((found.mu - axes.center) @ axes.vectors[:2].T).astype(np.float32)
    return Scored(
        found, reference, examined.places, examined.distances, scores(examined), own.normal, place,
        tuple(dict.fromkeys((*notes, *own.notes))),
    )  # fmt: skip


def _surveyed(
    loaded: LoadedRun, part: ImageSet, said: Texts | None, progress: Progress
) -> tuple[Survey, tuple[str, ...]]:
    """The survey of new images: labels are what is `said` of them, else their folders, or, where
    the model has to be told one, the label under which it explains an image best."""
    known = loaded.card.label_names
    context = Context(loaded.step, train_images=loaded.card.n_train)

    def look(labels: np.ndarray | None, names: tuple[str, ...]) -> Survey:
        labelled = replace(part, labels=labels)
        return survey(loaded.model, loaded.objective, labelled, names, "new", context, progress)

    needed = families[loaded.config.family].needs_labels
    if said is not None and not (needed and set(said) - set(known)):
        labels, names = numbered(said, known)
        return look(labels, names), ()
    own = known_folder_labels(part.files, known) if known else None
    if own is not None:
        return look(own, known), ()
    if not needed:
        by_folder, names = folder_labels(part.files)
        return look(by_folder, names), ()
    if len(known) > MOST_TRIED:
        raise UserError(
            f"Run {loaded.run.id!r} is told the label of each image, and knows {len(known)}: put "
            "the new ones into folders of these names."
        )
    every = [look(np.full(len(part), label, np.int64), known) for label in range(len(known))]
    costs = [each.recon if each.elbo is None else -each.elbo for each in every]
    best = np.argmin([cost for cost in costs if cost is not None], axis=0)
    note = "The images lie in no folder of a known label; each was given the label that fits best."
    return _picked(every, best), (note,)


def _picked(surveys: Sequence[Survey], which: np.ndarray) -> Survey:
    """Of several surveys of the same N images, each image's row from the one that `which` names."""

    def pick(name: str) -> np.ndarray | None:
        found = [getattr(each, name) for each in surveys]
        return None if found[0] is None else np.stack(found)[which, np.arange(len(which))]

    names = ("mu", "logvar", "recon", "kl", "kl_error", "labels")
    arrays: dict[str, Any] = {name: pick(name) for name in names}
    return replace(surveys[0], **arrays)


def table(scored: Scored, false_alarms: float, by: str) -> dict[str, list[object]]:
    """The columns of `scores.csv`, a row each image.

    `file, label, recon, kl, elbo` in nats; every other score; `nearest` training image and its
    `distance`; `pca1, pca2`; `p_…` of each score with a baseline; `outlier` where p of score `by`
    is at most `false_alarms`.

    Raises:
        UserError: when `by` is no score.
    """
    found, reference = scored.survey, scored.reference
    columns: dict[str, list[object]] = {"file": [found.name(row) for row in range(len(found))]}
    if found.labels is not None:
        columns["label"] = [found.label_name(int(label)) for label in found.labels]
    for name in ("recon", "kl", "elbo"):
        values = getattr(found, name)
        columns[name] = [""] * len(found) if values is None else values.tolist()
    told = {name: values for name, values in scored.scores.items() if name not in columns}
    columns |= {name: values.tolist() for name, values in told.items() if name != "nelbo"}
    if scored.places.shape[1]:
        columns["nearest"] = [reference.name(int(place)) for place in scored.places[:, 0]]
        columns["distance"] = scored.distances[:, 0].tolist()
    columns |= {f"pca{i + 1}": scored.place[:, i].tolist() for i in range(scored.place.shape[1])}
    columns |= {f"p_{name}": values.tolist() for name, values in scored.p_values.items()}
    shares = scored.p_values.get(novelties[by].name)
    if shares is not None:
        columns["outlier"] = (shares <= false_alarms).tolist()
    return columns


# --- what is kept of it for a page to show --------------------------------------------------------

NAME = re.compile(r"[a-z0-9-]{1,60}")
LONGEST_WORDS = 100 * 10**6
"""Bytes of the names of images and what else is told in words."""


def told_at_once(found: Survey, k: int = NEIGHBOURS) -> Scored:
    """Images held against each other, by the scores that need no work of a model and no library
    that takes seconds to import: what a page shows until `score_part` is done.

    Where nats are known, those; else the distance to neighbours.
    """
    quick = {
        "recon": found.recon,
        "nelbo": None if found.elbo is None else -found.elbo,
        "kl": found.kl,
    }
    told = finite_ones(quick)
    places, distances = np.empty((len(found), 0), np.int64), np.empty((len(found), 0), np.float32)
    if not told:
        examined = examine(found, None, Reference(found, None), k)
        places, distances = examined.places, examined.distances
        told = {"knn": distances[:, -1].astype(np.float64)}
    place = np.zeros((len(found), 0), np.float32)
    return Scored(found, found, places, distances, told, {}, place, ())


def save_scored(run: Run, of: str, scored: Scored, which: str = "last") -> None:
    """Keep scores under a name, that of the part or another one, where they can be kept.

    Raises:
        UserError: when the name is no word of small letters, digits and dashes.
    """
    if not NAME.fullmatch(of):
        raise UserError(f"{of!r} is no name for scores; take small letters, digits and dashes.")
    found = scored.survey
    words = {
        "files": found.files,
        "label_names": found.label_names,
        "notes": scored.notes,
        "split": found.split,
        "note": found.note,
        "reference": scored.reference.split,
    }
    arrays = {
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
        "places": scored.places,
        "distances": scored.distances,
        "place": scored.place,
    }
    known = {name: getattr(found, name) for name in _SURVEYED}
    arrays |= {name: values for name, values in known.items() if values is not None}
    arrays |= {f"score.{name}": values for name, values in scored.scores.items()}
    arrays |= {f"normal.{name}": values for name, values in scored.normal.items()}
    derived.keep(run, layout.scored(of), arrays, _made_of(run, which, len(scored.reference)))


_SURVEYED = {
    "mu": "F32", "recon": "F32", "kl": "F32", "kl_error": "F32", "labels": "I64", "hashes": "U64",
    "indices": "I64",
}  # fmt: skip
"""What is kept of a survey, by the names of its fields."""


def _made_of(run: Run, which: str, reference: int) -> dict[str, str]:
    weights = derived.fingerprint(run, WHICH[which])
    return {"weights": weights, "reference": str(reference)}


def load_scored(run: Run, of: str, which: str = "last") -> Scored | None:
    """The scores that are kept under a name; None where none are, or they are of other weights or
    were held against other images than are known now."""

    def read(file: Tensors) -> Scored | None:
        if file.require("words", "U8", (None,)).shape[0] > LONGEST_WORDS:
            raise ValueError("its words are too long")
        words = json.loads(file.array("words", "U8", (None,)).tobytes())
        if file.metadata.get("weights") != derived.fingerprint(run, WHICH[which]):
            return None
        reference = _reference(run, str(words["reference"]), which)
        if reference is None or file.metadata != _made_of(run, which, len(reference)):
            return None
        n, d = file.require("mu", "F32", (None, reference.mu.shape[1])).shape
        places = file.array("places", "I64", (n, None))
        if not places.shape[1] or places.min() < 0 or places.max() >= len(reference):
            raise ValueError("its places lead nowhere")
        known = {
            name: file.maybe(name, kind, (n, d) if name == "mu" else (n,))
            for name, kind in _SURVEYED.items()
        }
        survey_kept: dict[str, Any] = {"logvar": None, **known}
        files = tuple(map(str, words["files"]))
        found = Survey(
            split=str(words["split"]),
            label_names=tuple(map(str, words["label_names"])),
            files=files if len(files) == n else (),
            step=weights_step(run, which),
            note=str(words["note"]),
            **survey_kept,
        )
        told = {entry.name: file.maybe(f"score.{entry.name}", "F64", (n,)) for entry in novelties}
        normal = {
            entry.name: file.maybe(f"normal.{entry.name}", "F64", (None,)) for entry in novelties
        }
        return Scored(
            found,
            reference,
            places,
            file.array("distances", "F32", places.shape),
            {name: values for name, values in told.items() if values is not None},
            {name: values for name, values in normal.items() if values is not None},
            file.array("place", "F32", (n, None)),
            tuple(map(str, words["notes"])),
        )

    return derived.find(run, layout.scored(of), read)


def _reference(run: Run, split: str, which: str) -> Survey | None:
    """The images that something was held against, as they are kept now."""
    if split == CACHED:
        return survey_of(run, CACHED, which=which)
    return load_survey(run, split, weights_step(run, which))
