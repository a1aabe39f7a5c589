"""Two VAEs on faces that share an encoder and a loss: PyTorch-VAE's, and that of a blog."""

from __future__ import annotations

import math
from typing import Any

from vae_core.losses.conventions import CONVENTIONS, Scale
from vae_core.presets.preset import preset

SHAPE = (3, 64, 64)
LATENTS = 128
WEIGHT = 0.00025
SCALE = Scale(math.prod(SHAPE), LATENTS, sigma=math.sqrt(0.5))  # nats are the squared error
BETA = CONVENTIONS["pytorch-vae"].beta(WEIGHT, SCALE)
LOSS = (
    f"mse.mean() + {WEIGHT:g}·kl.sum(dim=1).mean(); in nats with σ² = ½, β = {BETA:.4g}. "
    "Adam at 0.005, times 0.95 after every epoch; seed 1265."
)


def faces(name: str, label: str, blurb: str, source: str, published: str, **options: Any) -> None:
    """Five stages of 32 to 512 maps on faces of 64×64, and 128 latents."""
    preset(
        name,
        label,
        blurb,
        SHAPE,
        source=source,
        published=f"{LOSS} {published}",
        order=40,
        family="vae",
        data={"dataset": "celeba", "image_size": 64},
        model={
            "backbone": "deep-conv",
            "latent_dim": LATENTS,
            "likelihood": "gaussian",
            "sigma": SCALE.sigma,
            "options": {"channels": (32, 64, 128, 256, 512), **options},
        },
        objective={"beta": BETA},
        train={
            "epochs": 20,
            "batch_size": 64,
            "validation_images": 2000,
            "learning_rate": 0.005,
            "decay": "exponential",
            "decay_factor": 0.95,
            # The nats of an image are P times the mean, and so is what Adam's ε is added to.
            "adam_epsilon": 1e-8 * SCALE.values,
            "seed": 1265,
        },
    )


faces(
    "celeba-vae",
    "CelebA blog VAE",
    "A blog's smaller way back from 128 latents, on faces of 64×64: 3 225 795 weights.",
    "A blog on CelebA, after Subramanian, PyTorch-VAE (2020)",
    "The blog prints 3 225 795 weights. The widths of the way back, 256, 256, 128, 64, 64 and "
    "3, are worked out from that number, which other networks have too; the last layer ends in "
    "a sigmoid here.",
    decoder_channels=(256, 256, 128, 64, 64),
)
faces(
    "pytorch-vae",
    "PyTorch-VAE, CelebA",
    "Five normalised stages down to 2×2 and back, on faces of 64×64: 3 937 635 weights.",
    "Subramanian, PyTorch-VAE (2020), VanillaVAE and configs/vae.yaml",
    "Its pictures end in a tanh, half of its images are mirrored, and it takes 100 passes; "
    "here a sigmoid, which keeps pixels in [0, 1], no mirror, and 20 passes.",
)
