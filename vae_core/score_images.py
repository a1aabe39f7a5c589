"""New images through a trained model: how well it explains them, and how strange they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.analysis import CACHED, survey_of
from vae_core.data import Dataset, Images, ImageSet, Progress, no_progress
from vae_core.data.hashes import content_hashes
from vae_core.data.images import restore_order
from vae_core.data.labels import folder_labels, known_folder_labels, numbered
from vae_core.data.meanings import Texts
from vae_core.data.new_images import load_new_images
from vae_core.errors import UserError
from vae_core.families import families
from vae_core.latent.directions import principal_directions
from vae_core.latent.novelty import (
    NEIGHBOURS,
    Detection,
    Examined,
    PixelModel,
    Reference,
    detection,
    examine,
    novelties,
    scores,
    tail_shares,
)
from vae_core.latent.survey import Survey, survey
from vae_core.loading import LoadedRun, load_run, part_of
from vae_core.run_data import dataset_of
from vae_core.runs import Run, in_words
from vae_core.types import Context

MOST_TRIED = 200
"""Labels that are tried where a model has to be told one and nobody knows it."""


@dataclass(frozen=True)
class Baseline:
    """A run's own images, for others to be held against.

    reference: those that it learned from. normal: each score of its validation images; {} where
    they are not at hand. notes: what was not at hand, and what that means.
    """

    reference: Reference
    normal: Mapping[str, np.ndarray]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """New images with all that is told of them.

    images: as the model saw them. survey: its encodings and nats, with labels where they were
    known. scores: float64 [N] by name. p_values: [N] by name, of scores with a baseline; see
    `tail_shares`. place: float32 [N, 2] on the map of principal components.
    """

    images: Images
    survey: Survey
    examined: Examined
    scores: Mapping[str, np.ndarray]
    p_values: Mapping[str, np.ndarray]
    place: np.ndarray
    notes: tuple[str, ...]

    def detections(self, normal_labels: Sequence[str]) -> dict[str, Detection]:
        """How well each score tells images with other labels from those with `normal_labels`."""
        labels = self.survey.labels
        if labels is None:
            return {}
        names = np.array([self.survey.label_name(int(label)) for label in labels], dtype=object)
        strange = ~np.isin(names, list(normal_labels))
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
    density = load_run(run, which=which).model.likelihood.is_density
    try:
        learned = survey_of(run, "train", data_dir, progress, which)
        held_out = survey_of(run, "validation", data_dir, progress, which)
        dataset = dataset_of(run, data_dir, progress)
        pixels = PixelModel.fit(_images_of(learned, dataset), density, progress)
        images = _images_of(held_out, dataset)
    except UserError as missing:
        kept = survey_of(run, CACHED)
        note = (
            f"The images of run {run.id!r} are not at hand, so new ones are held against the "
            f"{in_words(len(kept), CACHED)} whose encodings it keeps; there are no p-values and no "
            f"scores that need pixels. {missing}"
        )
        return Baseline(Reference(kept, None), {}, (note,))
    reference = Reference(learned, pixels)
    normal = scores(examine(held_out, images, reference, k, progress))
    notes = tuple(dict.fromkeys(each.note for each in (learned, held_out) if each.note))
    return Baseline(reference, normal, notes)


def _images_of(found: Survey, dataset: Dataset) -> Images:
    assert found.hashes is not None, "a whole part knows them"
    return restore_order(part_of(dataset, found.split), found.hashes)


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
    shape = loaded.card.image_shape
    part, said, notes = load_new_images(paths, loaded.config.data, shape, progress)
    part = replace(part, hashes=content_hashes(part.images))
    own = baseline(run, data_dir, which, k, progress)
    found, more = _surveyed(loaded, part, said, progress)
    examined = examine(found, part.images, own.reference, k, progress)
    values = scores(examined)
    shares = {
        name: tail_shares(each, own.normal[name])
        for name, each in values.items()
        if name in own.normal
    }
    axes = principal_directions(own.reference.survey.mu)
    place = ((found.mu - axes.center) @ axes.vectors[:2].T).astype(np.float32)
    return Scored(part.images, found, examined, values, shares, place, (*notes, *more, *own.notes))


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
    found, reference = scored.survey, scored.examined.reference.survey
    columns: dict[str, list[object]] = {"file": list(found.files)}
    if found.labels is not None:
        columns["label"] = [found.label_name(int(label)) for label in found.labels]
    for name in ("recon", "kl", "elbo"):
        values = getattr(found, name)
        columns[name] = [""] * len(found) if values is None else values.tolist()
    told = {name: values for name, values in scored.scores.items() if name not in columns}
    columns |= {name: values.tolist() for name, values in told.items() if name != "nelbo"}
    columns["nearest"] = [reference.name(int(place)) for place in scored.examined.places[:, 0]]
    columns["distance"] = scored.examined.distances[:, 0].tolist()
    columns |= {f"pca{i + 1}": scored.place[:, i].tolist() for i in range(scored.place.shape[1])}
    columns |= {f"p_{name}": values.tolist() for name, values in scored.p_values.items()}
    shares = scored.p_values.get(novelties[by].name)
    if shares is not None:
        columns["outlier"] = (shares <= false_alarms).tolist()
    return columns
