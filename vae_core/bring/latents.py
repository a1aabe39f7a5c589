"""What a brought run has to explore: encodings of images, or draws where there is no encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vae_core.data import Dataset
from vae_core.errors import UserError
from vae_core.imaging.png import tile, to_png
from vae_core.imaging.resize import thumbnails
from vae_core.latent.directions import (
    regressed_directions,
    save_directions,
    write_directions,
)
from vae_core.latent.encodings import (
    LARGEST_THUMBNAIL,
    Encodings,
    encode_dataset,
    save_encodings,
)
from vae_core.latent.grids import decode_vectors, prior_pictures
from vae_core.latent.survey import finite
from vae_core.models import LatentModel
from vae_core.progress import Progress
from vae_core.runs import Run, layout
from vae_core.training.artifacts import ENCODED_IMAGES, SAMPLES_IN_THUMBNAIL

DRAWS_PER_LATENT, LEAST_DRAWS, MOST_DRAWS = 10, 2000, 20_000
"""From so many pictures it is fitted which latents move them: a direction of D numbers has an error
of about √(D / draws)."""

BATCH = 100

MOST_NUMBERS = layout.largest(layout.ENCODINGS) // 10
"""Latents of all encodings together, two float32 each."""


def write_encoded(
    run: Run, model: LatentModel[Any], dataset: Dataset, step: int, progress: Progress
) -> None:
    """Encodings of images, their principal directions, and a picture for the card: samples, or
    reconstructions where the prior is a name alone. A UserError when they are not finite."""
    most = max(2, min(ENCODED_IMAGES, MOST_NUMBERS // model.latent_size))
    encodings = encode_dataset(model, dataset, step, most, progress)
    finite(encodings.mu, "encoding")
    save_encodings(run, encodings)
    save_directions(run, encodings.mu, step, progress)
    on_maps = len(model.latent_shapes[0]) > 1
    if model.no_density or on_maps:
        chosen = np.linspace(0, len(encodings.mu) - 1, SAMPLES_IN_THUMBNAIL).astype(np.int64)
        pictures = decode_vectors(model, encodings.mu[chosen])
    else:
        pictures = prior_pictures(model, SAMPLES_IN_THUMBNAIL)
    run.write_bytes(layout.THUMBNAIL, to_png(tile(pictures, 4)))


def write_drawn(run: Run, model: LatentModel[Any], step: int, progress: Progress) -> None:
    """Draws of N(0, I) with their pictures in place of encodings, and the directions in which the
    pictures vary. A UserError when the pictures are all the same."""
    count = min(MOST_DRAWS, max(LEAST_DRAWS, DRAWS_PER_LATENT * model.latent_size))
    generator = torch.Generator().manual_seed(0)
    z = model.flatten(model.sample_prior(count, generator)).numpy()
    drawn, full = [], []
    for start in range(0, count, BATCH):
        progress("Drawing pictures", start / count)
        pictures = decode_vectors(model, z[start : start + BATCH])
        full.append(pictures[: SAMPLES_IN_THUMBNAIL * (start == 0)])
        drawn.append(thumbnails(pictures, LARGEST_THUMBNAIL))
    small = np.concatenate(drawn)
    features = small.reshape(count, -1).astype(np.float32)
    if not features.var(axis=0).any():
        raise UserError("The decoder draws the same picture whatever latents it is given.")
    progress("Finding the directions", None)
    kept = slice(0, ENCODED_IMAGES)
    indices = np.arange(len(z[kept]), dtype=np.int64)
    save_encodings(run, Encodings(z[kept], None, indices, None, (), small[kept], step))
    write_directions(run, regressed_directions(z, features), step)
    run.write_bytes(layout.THUMBNAIL, to_png(tile(np.concatenate(full), 4)))
    about = {"latent_dim": model.latent_size, "weights": model.weight_count(), "step": step}
    run.write_json(layout.SUMMARY, about)
