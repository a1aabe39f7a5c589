"""What pages and exports ask of a run's images; each is computed once for each checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from vae_core.data import Dataset, Images, ImageSet, Progress, no_progress
from vae_core.data.columns import equal
from vae_core.data.hashes import match_hashes
from vae_core.data.images import ArrayImages, restore_order
from vae_core.errors import UserError
from vae_core.latent.encodings import load_encodings
from vae_core.latent.maps import Map, load_map, make_map, save_map
from vae_core.latent.survey import Survey, load_survey, save_survey, survey
from vae_core.loading import load_part, load_run, part_of, weights_step
from vae_core.losses import gaussian_kl
from vae_core.models import LatentModel
from vae_core.models.posterior import GaussianPosterior
from vae_core.run_data import dataset_of, recorded_by
from vae_core.runs import Run
from vae_core.runs.layout import ENCODINGS
from vae_core.types import Context

CACHED = "cached"
"""The split that stands for the images whose encodings the run keeps: no data set is needed."""


def survey_of(
    run: Run,
    split: str,
    data_dir: str | None = None,
    progress: Progress = no_progress,
    which: str = "last",
) -> Survey:
    """The survey of a part of the run's data set, from the run where it has been made before.

    Args:
        split: train, validation, test or "cached".
        data_dir: where the data set lies on this machine, in place of where it lay in training.
        which: the last weights or the best; a run keeps surveys of its last ones.

    Raises:
        UserError: when the run has no such weights, or its data set is not present.
    """
    step = weights_step(run, which)
    is_last = which == "last" or step == weights_step(run)
    if split == CACHED:
        if is_last:
            return _survey_of_cache(run)
        raise UserError("The run keeps encodings of its last weights alone; choose another part.")
    kept = load_survey(run, split, step, data_dir)
    if kept is not None and data_dir is None and not kept.note:
        return kept  # of the run's own images, which are what they are
    try:
        dataset, part = load_part(run, split, data_dir, progress)
    except UserError:
        if kept is None or data_dir is not None:
            raise
        return kept  # of those that were there then
    if kept is not None and _is_of(kept, part):
        return kept
    loaded = load_run(run, which=which)
    model = loaded.model.to(memory_format=torch.channels_last)
    context = Context(loaded.step, train_images=loaded.card.n_train)
    found = survey(model, loaded.objective, part, dataset.label_names, split, context, progress)
    own = loaded.config.data.data_dir
    if dataset.difference:
        found = replace(found, note=dataset.difference.sentence)
    if is_last:
        elsewhere = bool(found.note) and data_dir not in (None, own)
        save_survey(run, found, data_dir or own, elsewhere)
    return found


def known_surveys(run: Run) -> tuple[Survey, ...]:
    """All images of a run whose encodings are known by now: the surveys that are kept of its parts,
    and in place of a training part that nobody has surveyed the images that the run keeps.

    Raises:
        UserError: when the run has no weights, or what it keeps is damaged.
    """
    step = weights_step(run)
    found = [load_survey(run, split, step) for split in ("train", "validation", "test")]
    known = [each for each in found if each is not None]
    if found[0] is None and run.has(ENCODINGS):
        known.insert(0, _survey_of_cache(run))
    return tuple(known)


def survey_hashes(run: Run, survey: Survey) -> np.ndarray:
    """Which images a survey is of: uint64 [N].

    Raises:
        UserError: for a run of a time when that was not recorded.
    """
    if survey.hashes is not None:
        return survey.hashes
    recorded = recorded_by(run)
    if recorded is not None and survey.split == CACHED:  # of training images, by their places
        train = recorded.hashes["train"]
        if not len(survey.indices) or survey.indices.max() < len(train):
            return train[survey.indices]
    raise UserError(
        f"Run {run.id!r} did not record which its images are. Choose all images of a part above; "
        "selections of those can be kept."
    )


def _is_of(kept: Survey, part: ImageSet) -> bool:
    """Whether a survey is of these images, under these names and labels."""
    pairs = (kept.hashes, part.hashes), (kept.labels, part.labels)
    same = all(a is b if a is None or b is None else np.array_equal(a, b) for a, b in pairs)
    told = kept.files == part.files and equal(kept.columns, part.columns)
    return kept.hashes is not None and same and told


def images_of_survey(
    run: Run, found: Survey, data_dir: str | None = None, progress: Progress = no_progress
) -> Images:
    """The images that the rows of a survey of a part are of, whatever has come or gone since.

    Raises:
        UserError: when the data set is not present; on gathering, when an image is gone.
    """
    return images_within(dataset_of(run, data_dir, progress), found)


def images_within(dataset: Dataset, found: Survey) -> Images:
    """As `images_of_survey`, where the run's data set has been loaded."""
    assert found.hashes is not None, "a whole part knows them"
    return restore_order(part_of(dataset, found.split), found.hashes)


def kept_images(run: Run) -> tuple[Survey, Images]:
    """The survey of the images that a run keeps, and their thumbnails; measured where these are
    the images themselves, so that no data set is needed, else as far as the survey of the training
    part tells, where one is kept.

    Raises:
        UserError: as `survey_of`.
    """
    kept, found = load_encodings(run), _survey_of_cache(run)
    loaded = load_run(run)
    part = kept.as_images(loaded.card.image_shape)
    if part is not None and not loaded.model.no_encoder and np.isfinite(found.mu).all():
        context = Context(loaded.step, train_images=loaded.card.n_train)
        measured = survey(loaded.model, loaded.objective, part, (), CACHED, context)
        found = replace(found, recon=measured.recon, kl=measured.kl, kl_error=measured.kl_error)
    elif (whole := load_survey(run, "train", found.step)) is not None:
        found = _with_nats_of(whole, found)
    return found, ArrayImages(kept.thumbnails)


def _with_nats_of(whole: Survey, found: Survey) -> Survey:
    """`found` with what is told of the same images in `whole`, where all of them are in it."""
    if whole.hashes is None or found.hashes is None:
        return found
    rows = match_hashes(found.hashes, whole.hashes)
    if (rows < 0).any():
        return found
    same = whole.rows(rows)
    return replace(found, recon=same.recon, kl=same.kl, kl_error=same.kl_error)


def map_of(
    run: Run,
    split: str,
    kind: str,
    dimensions: int = 2,
    seed: int = 0,
    data_dir: str | None = None,
    progress: Progress = no_progress,
) -> Map:
    """The map of a part's encodings in 2 or 3 dimensions, from the run where it has been made.

    Raises:
        UserError: as `survey_of` and `make_map`.
    """
    found = survey_of(run, split, data_dir, progress)
    kept = load_map(run, split, kind, dimensions, seed, found.mu)
    if kept is not None:
        return kept
    made = make_map(found.mu, kind, dimensions, seed, progress)
    save_map(run, split, made, found.mu)
    return made


def _survey_of_cache(run: Run) -> Survey:
    """What the run's encodings say; KLs only where means and widths are enough to know them."""
    kept = load_encodings(run)
    kl = None
    if kept.logvar is not None and _has_closed_kl(load_run(run).model):
        kl = gaussian_kl(torch.from_numpy(kept.mu), torch.from_numpy(kept.logvar)).sum(1).numpy()
    return Survey(
        CACHED, kept.mu, kept.logvar, None, kl, kept.labels, kept.label_names, kept.files,
        kept.indices, kept.step, kept.hashes, columns=kept.columns,
    )  # fmt: skip


def _has_closed_kl(model: LatentModel) -> bool:
    """Whether posteriors are diagonal Gaussians and the prior is N(0, I)."""
    prior = model.prior()
    diagonal = issubclass(model.posterior, GaussianPosterior)
    return diagonal and prior is not None and prior.standard
