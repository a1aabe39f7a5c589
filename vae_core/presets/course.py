"""A well-known course's autoencoder and VAE on MNIST."""

from __future__ import annotations

from typing import Any

from vae_core.losses.conventions import CONVENTIONS, Scale
from vae_core.presets.preset import preset

PIXELS = 28 * 28
STD = 0.3081  # standard deviation of MNIST's pixels
LATENTS = 5
BETA = CONVENTIONS["mse-mean-kl-mean"].beta(0.1, Scale(PIXELS, LATENTS, STD, STD))

MODEL: dict[str, Any] = {
    "latent_dim": LATENTS,
    "likelihood": "gaussian",
    # σ = s makes the nats equal to half the squared error of the normalised pixels.
    "sigma": STD,
    "output": "identity",
    "pixel_mean": 0.1307,
    "pixel_std": STD,
    "scale_head": "logsigma",
    "options": {"channels": (16, 32), "hidden": 128, "bias": False},
}
TRAINING: dict[str, Any] = {"epochs": 10, "batch_size": 512, "adam_betas": (0.5, 0.999)}
DATA: dict[str, Any] = {"dataset": "mnist", "validation_fraction": 0.0}

PRESETS = (
    preset(
        "course-ae",
        "Course autoencoder",
        "The autoencoder of a well-known course: five codes, squared error.",
        (1, 28, 28),
        published="mse.mean() on pixels normalised by 0.1307 and 0.3081.",
        family="autoencoder",
        data=DATA,
        model=MODEL,
        train=TRAINING,
    ),
    preset(
        "course-vae",
        "Course VAE",
        "The same with mean and log σ heads: MSE + 0.1·KL on normalised pixels.",
        (1, 28, 28),
        published=f"mse.mean() + 0.1·kl.mean() on normalised pixels; in nats β = {BETA:.4g}.",
        family="vae",
        data=DATA,
        model=MODEL,
        objective={"beta": BETA},
        train=TRAINING,
    ),
)
