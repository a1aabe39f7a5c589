"""What a stopped or interrupted run lacks beside its weights, made when somebody asks for it."""

from __future__ import annotations

import torch

from vae_core.data import Progress, no_progress
from vae_core.errors import UserError
from vae_core.in_force import controls_in_force
from vae_core.latent.directions import keep_directions
from vae_core.latent.encodings import encoded_step
from vae_core.loading import load_run
from vae_core.run_data import dataset_of
from vae_core.runs import ACTIVE, Run
from vae_core.training.aftermath import keep_latents, keep_measurement
from vae_core.types import Context


def is_complete(run: Run) -> bool:
    """Whether the encodings that a run keeps are those of its weights; also while a worker is at
    work, which brings them up itself."""
    step = run.weights_step()
    return step is None or encoded_step(run) == step or run.status().state in ACTIVE


def complete(run: Run, progress: Progress = no_progress) -> None:
    """Make what a stopped or interrupted run lacks: encodings and measurements of its weights.

    Raises:
        UserError: when a process works on the run, it has no weights, its images are not present,
            or the folder cannot be written.
    """
    with run.lock():
        loaded = load_run(run).sound()
        dataset = dataset_of(run, progress=progress)
        if not len(dataset.train):
            raise UserError(f"Of the training images of run {run.id!r} none is there.")
        model, step = loaded.model.to(memory_format=torch.channels_last), loaded.step
        mu = keep_latents(run, model, dataset, step, progress)
        if dataset.difference is None and run.summary().get("step") != step:
            generator = torch.Generator().manual_seed(0)
            turned, images = controls_in_force(run, step), loaded.card.n_train
            context = Context(max(0, step - 1), generator, turned, train_images=images)
            keep_measurement(
                run, model, loaded.objective, dataset.validation, context, step, progress
            )
        keep_directions(run, mu, step, progress)
