"""The VAE of a blog on faces, in the shapes that a well-known collection of VAEs shares."""

from __future__ import annotations

import math

from vae_core.losses.conventions import CONVENTIONS, Scale
from vae_core.presets.preset import preset

SHAPE = (3, 64, 64)
LATENTS = 128
WEIGHT = 0.00025
SCALE = Scale(math.prod(SHAPE), LATENTS, sigma=math.sqrt(0.5))  # nats are the squared error
BETA = CONVENTIONS["pytorch-vae"].beta(WEIGHT, SCALE)

PRESETS = (
    preset(
        "celeba-vae",
        "CelebA blog VAE",
        "Five normalised stages down to 2×2 and 128 latents, on faces of 64×64.",
        SHAPE,
        source="A blog on CelebA; the network: Subramanian, PyTorch-VAE (2020), VanillaVAE",
        published=(
            f"mse.mean() + {WEIGHT:g}·kl.sum(dim=1).mean(); in nats with σ² = ½, β = {BETA:.4g}. "
            "Adam at 0.005, times 0.95 after every epoch; seed 1265."
        ),
        family="vae",
        data={"dataset": "celeba", "image_size": 64},
        model={
            "backbone": "deep-conv",
            "latent_dim": LATENTS,
            "likelihood": "gaussian",
            "sigma": SCALE.sigma,
            "options": {"channels": (32, 64, 128, 256, 512)},
        },
        objective={"beta": BETA},
        train={
            "epochs": 20,
            "batch_size": 64,
            "learning_rate": 0.005,
            "decay": "exponential",
            "decay_factor": 0.95,
            "seed": 1265,
        },
    ),
)
