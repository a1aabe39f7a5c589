"""Our own recipes for models to look at: factors on sliders, the plane of digits, sharp samples."""

from __future__ import annotations

from typing import Any

from vae_core.presets.preset import preset

ROOMS: dict[str, Any] = {"dataset": "scenes", "limit": 60_000}

FACTORS: dict[str, Any] = {
    "latent_dim": 10,
    "likelihood": "bernoulli",
    "options": {"channels": (8, 16, 32, 64), "hidden": 256},
}
"""The network of both that take factors apart, so that their objectives compare."""

preset(
    "scenes-tcvae",
    "Scenes β-TCVAE",
    "Rendered rooms with six known factors; its sliders become hue, size, shape and turn.",
    (3, 64, 64),
    order=10,
    family="beta-tcvae",
    data=ROOMS,
    model=FACTORS,
    objective={"beta": 6.0},
    train={"epochs": 20, "batch_size": 64, "learning_rate": 2e-3, "decay": "cosine"},
)
preset(
    "scenes-factor",
    "Scenes FactorVAE",
    "The same rooms and network; a critic keeps the factors apart, which blurs less.",
    (3, 64, 64),
    order=15,
    family="factor-vae",
    data=ROOMS,
    model=FACTORS,
    objective={"gamma": 20.0, "critic_units": 500},
    train={"epochs": 20, "batch_size": 64, "learning_rate": 1e-3, "decay": "cosine"},
)
preset(
    "scenes-vq",
    "Scenes VQ-VAE",
    "A room as a table of 8×8 learned codes; with a prior over them, samples are sharp.",
    (3, 64, 64),
    order=20,
    family="vq-vae",
    data=ROOMS,
    model={
        "latent_dim": 16,
        "likelihood": "gaussian-optimal",
        "options": {"channels": (32, 64, 64), "hidden": 64},
    },
    objective={"codes": 256, "halvings": 3},
    train={"epochs": 8, "batch_size": 64, "learning_rate": 1e-3, "decay": "cosine"},
)
preset(
    "mnist-plane",
    "MNIST plane",
    "Two latents on handwritten digits: the whole space is one picture.",
    (1, 28, 28),
    order=20,
    family="vae",
    data={"dataset": "mnist"},
    model={"backbone": "mlp", "latent_dim": 2, "options": {"hidden": (256, 256)}},
    objective={"schedule": "linear", "schedule_steps": 1500},
    train={"epochs": 20, "batch_size": 128, "learning_rate": 2e-3, "decay": "cosine"},
)
