"""What a run has beside its weights: encodings, directions, a thumbnail, and what was measured.

All of it can be made again from weights and images. A worker makes it when an epoch ends, where
that takes little, and when the training ends; what a stop left out is made when somebody asks for
it (`vae_core/completion.py`).
"""

from __future__ import annotations

import math

import numpy as np

from vae_core.data import Dataset, Progress, no_progress
from vae_core.data.dataset import ImageSet
from vae_core.errors import UserError
from vae_core.imaging.png import tile, to_png
from vae_core.latent.encodings import encode_dataset, save_encodings
from vae_core.latent.grids import prior_pictures
from vae_core.latent.survey import finite
from vae_core.metrics import measure
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.runs import Run, layout
from vae_core.training.stability import ADVICE
from vae_core.types import Context

ENCODED_IMAGES = 3000
SAMPLES_IN_THUMBNAIL = 16

LEARNED_BEFORE = 5
"""Images that a run has learned from, for each that it encodes, before it encodes any: to encode
one takes a quarter of what it takes to learn from it."""


def may_encode(learned: int, images: int) -> bool:
    """Whether encodings are worth their time on the way, once so many images were learned from, of
    so many training images, those of all epochs counted."""
    return learned >= LEARNED_BEFORE * min(ENCODED_IMAGES, images)


def save_latents(
    run: Run, model: LatentModel, dataset: Dataset, step: int, progress: Progress = no_progress
) -> np.ndarray:
    """Write what Explore needs beside the weights of `step`: encodings, and a picture of samples.
    The posterior means [N, D]. A UserError when they are not finite, or the folder cannot be
    written."""
    encodings = encode_dataset(model, dataset, step, ENCODED_IMAGES, progress)
    finite(encodings.mu, "encoding")
    save_encodings(run, encodings)
    samples = prior_pictures(model, SAMPLES_IN_THUMBNAIL)
    run.write_bytes(layout.THUMBNAIL, to_png(tile(samples, 4)))
    return encodings.mu


def save_measurement(
    run: Run,
    model: LatentModel,
    objective: Objective,
    part: ImageSet,
    context: Context,
    step: int,
    progress: Progress = no_progress,
) -> None:
    """Write what is measured of the weights of `step` on the validation images. A UserError when
    their loss is not finite, or the folder cannot be written."""
    measured = measure(model, objective, part, context, progress=progress)
    if not math.isfinite(measured.total):
        raise UserError(
            f"The loss of the validation images is {measured.total:g}; the weights of step {step} "
            f"are saved. {ADVICE}"
        )
    about = {
        "split": "validation",
        "latent_dim": model.latent_size,
        "weights": model.weight_count(),
        "kl_per_dim": measured.kl_per_dim,
        "step": step,
    }
    run.write_json(layout.SUMMARY, measured.report() | about)
