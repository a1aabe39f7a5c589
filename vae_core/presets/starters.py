"""Our own recipes: good first models for the data sets that are at hand."""

from __future__ import annotations

from typing import Any

from vae_core.nested import merged
from vae_core.presets.preset import preset
from vae_core.settings import AUTO

MNIST: dict[str, Any] = {
    "order": 10,
    "data": {"dataset": "mnist"},
    "model": {"latent_dim": 16, "options": {"channels": (32, 64), "hidden": 128}},
}
MNIST_TRAINING = {"batch_size": 64, "learning_rate": 2e-3, "decay": "cosine"}

LEFT_TO_THE_DATA: dict[str, Any] = {
    "data": {"validation_fraction": AUTO},
    "model": {"latent_dim": AUTO, "likelihood": AUTO},
    "train": {
        "batch_size": AUTO,
        "epochs": AUTO,
        "augmentation": AUTO,
        "early_stopping_patience": AUTO,
        "validation_images": AUTO,
        "shuffling": AUTO,
        "decay": "cosine",
    },
}
"""What a person's own images begin with: `vae_core.auto` decides it once they are known."""

preset(
    "mnist-vae",
    "MNIST VAE",
    "Sixteen latents on handwritten digits; the model that is shipped.",
    (1, 28, 28),
    family="vae",
    objective={"schedule": "linear", "schedule_steps": 1500},
    train={"epochs": 15, **MNIST_TRAINING},
    **MNIST,
)
preset(
    "mnist-ae",
    "MNIST autoencoder",
    "The same network without a prior: sharp copies, and holes between them.",
    (1, 28, 28),
    family="autoencoder",
    train={"epochs": 8, **MNIST_TRAINING},
    **MNIST,
)
preset(
    "mnist-beta-vae",
    "MNIST β-VAE",
    "The same network at β = 4: fewer latents in use, an ordered space, softer digits.",
    (1, 28, 28),
    family="vae",
    objective={"beta": 4.0, "schedule": "linear", "schedule_steps": 1500},
    train={"epochs": 8, **MNIST_TRAINING},
    **MNIST,
)
preset(
    "digits-vae",
    "Small digits VAE",
    "1797 built-in digits: trains within a minute, with no download.",
    (1, 32, 32),
    order=10,
    family="vae",
    data={"dataset": "digits"},
    model={"latent_dim": 8, "options": {"channels": (16, 32, 64), "hidden": 128}},
    train={"epochs": 40, "batch_size": 64, "decay": "cosine"},
)
preset(
    "sprites-vae",
    "Sprites VAE",
    "Drawn shapes with known factors; its directions move, grow and turn them.",
    (1, 64, 64),
    order=10,
    family="vae",
    data={"dataset": "sprites", "limit": 40_000},
    model={"latent_dim": 10, "options": {"channels": (32, 32, 64, 64), "hidden": 256}},
    objective={"schedule": "linear", "schedule_steps": 1500},
    train={"epochs": 10, "batch_size": 64, "learning_rate": 2e-3, "decay": "cosine"},
)
preset(
    "images-vae",
    "Your images VAE",
    "What your own images need is decided from them; everything can be changed.",
    (3, 64, 64),
    order=10,
    family="vae",
    **merged(LEFT_TO_THE_DATA, {"data": {"dataset": "folder"}}),
)
