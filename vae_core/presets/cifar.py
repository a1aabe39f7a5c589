"""The VAE of a notebook on CIFAR-10."""

from __future__ import annotations

import math

from vae_core.losses.conventions import CONVENTIONS, Scale
from vae_core.presets.preset import preset

SHAPE = (3, 32, 32)
LATENTS = 128
WEIGHT, CLIP = 0.001, 1.0
SCALE = Scale(math.prod(SHAPE), LATENTS, sigma=math.sqrt(0.5))  # nats are the squared error
BETA = CONVENTIONS["mse-mean-kl-mean"].beta(WEIGHT, SCALE)
# The nats of an image are P times the notebook's mean, and so is their gradient.
CLIP_IN_NATS = CLIP * SCALE.values
EPSILON = 1e-8 * SCALE.values  # PyTorch's own, added to a norm of gradients

preset(
    "cifar-vae",
    "CIFAR notebook VAE",
    "Three wide normalised stages and 128 latents, as a notebook trains them.",
    SHAPE,
    source="A notebook on CIFAR-10",
    published=(
        f"mse.mean() + {WEIGHT:g}·kl.mean(), gradients clipped at norm {CLIP:g}, log σ² "
        f"clamped to ±10; in nats with σ² = ½, β = {BETA:.4g}, the clip {CLIP_IN_NATS:g} "
        f"and Adam's ε {EPSILON:.3g}. "
        "Convolution, ReLU, batch normalisation, in this order. Of the training files 40 000 "
        "are learned from and 10 000 measured on, picked by what they show; 1000 of these after "
        "every epoch, all at the end."
    ),
    order=30,
    family="vae",
    data={"dataset": "cifar10", "validation_fraction": 0.2},
    model={
        "backbone": "conv-bn",
        "latent_dim": LATENTS,
        "likelihood": "gaussian",
        "sigma": SCALE.sigma,
        "logvar_range": (-10.0, 10.0),
        "options": {"channels": (96, 192, 384), "normalise": "after"},
    },
    objective={"beta": BETA},
    train={
        "epochs": 20,
        "batch_size": 32,
        "validation_images": 1000,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 1e-5,
        "gradient_clip": CLIP_IN_NATS,
        "adam_epsilon": EPSILON,
    },
)
