"""What a run has beside its weights: encodings, a thumbnail, what was measured, what it ran on.

All but the last can be made again from weights and images. A worker makes it when an epoch and when
the training ends; what a stop left out is made when somebody asks for it
(`vae_core/completion.py`).
"""

from __future__ import annotations

import math
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import torch

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
from vae_core.runs.migrations import VERSION
from vae_core.training.stability import ADVICE
from vae_core.types import Context

ENCODED_IMAGES = 3000
SAMPLES_IN_THUMBNAIL = 16
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pydantic", "safetensors")


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


def save_environment(run: Run, device: torch.device) -> None:
    """Write `environment.json`, what a run was made with, for whoever opens it on another day on
    another machine: the first session's, then every later one's."""
    session = {
        "version": VERSION,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": str(device),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in PACKAGES},
        "command": ["python", "-m", "vae_core", *without_store(sys.argv[1:])],
    }
    first = run.environment().model_dump(exclude_unset=True)
    if first:
        first["resumed"] = [*first.get("resumed", []), session]
    run.write_json(layout.ENVIRONMENT, first or session)


def without_store(arguments: list[str]) -> list[str]:
    """The arguments less `--store DIR`: where a run lies is no part of how it was made."""
    kept, following = [], iter(arguments)
    for argument in following:
        if argument == "--store":
            next(following, None)
        elif not argument.startswith("--store="):
            kept.append(argument)
    return kept
