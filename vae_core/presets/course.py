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
}
# The nats of an image are P/2 times the course's mean, and so is what Adam's ε is added to.
TRAINING: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 512,
    "validation_images": 1000,
    "adam_betas": (0.5, 0.999),
    "adam_epsilon": 1e-8 * PIXELS / 2,
}
KEPT_ASIDE = (
    "Here 3000 of the 60 000 training images are kept aside to measure on: 1000 of them after "
    "every epoch, all at the end."
)


def course(hidden: int) -> None:
    """The autoencoder and the VAE with so many hidden units; 128 is the usual one."""
    suffix, size = ("", "") if hidden == 128 else (f"-{hidden}", f", {hidden} hidden")
    shared: dict[str, Any] = {
        "order": 20,
        "data": {"dataset": "mnist"},
        "model": MODEL | {"options": {"channels": (16, 32), "hidden": hidden, "bias": False}},
        "train": TRAINING,
    }
    preset(
        f"course-ae{suffix}",
        f"Course autoencoder{size}",
        "The autoencoder of a well-known course: five codes, squared error.",
        (1, 28, 28),
        published=f"mse.mean() on pixels normalised by 0.1307 and 0.3081. {KEPT_ASIDE}",
        family="autoencoder",
        **shared,
    )
    preset(
        f"course-vae{suffix}",
        f"Course VAE{size}",
        "The same with mean and log σ heads: MSE + 0.1·KL on normalised pixels.",
        (1, 28, 28),
        published=(
            f"mse.mean() + 0.1·kl.mean() on normalised pixels; in nats β = {BETA:.4g}. {KEPT_ASIDE}"
        ),
        family="vae",
        objective={"beta": BETA},
        **shared,
    )


for _hidden in (128, 100):
    course(_hidden)
