"""Recipes: whole configurations under a name, some of them published systems rebuilt exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vae_core.config import RunConfig, parse_config
from vae_core.losses.conventions import beta_from_mse_mean_kl_mean
from vae_core.registry import unknown


@dataclass(frozen=True)
class Preset:
    """`image_shape` is that of the data set in `config`, for counting weights."""

    name: str
    label: str
    blurb: str
    image_shape: tuple[int, int, int]
    config: RunConfig


_COURSE_PIXELS = 28 * 28
_COURSE_STD = 0.3081  # standard deviation of MNIST's pixels
_COURSE_LATENTS = 5
_COURSE_MODEL: dict[str, Any] = {
    "latent_dim": _COURSE_LATENTS,
    "likelihood": "gaussian",
    # σ = s makes the nats equal to half the squared error of the normalised pixels.
    "sigma": _COURSE_STD,
    "output": "identity",
    "pixel_mean": 0.1307,
    "pixel_std": _COURSE_STD,
    "scale_head": "logsigma",
    "options": {"channels": (16, 32), "hidden": 128, "bias": False},
}
_COURSE_TRAINING = {"epochs": 10, "batch_size": 512, "adam_betas": (0.5, 0.999)}
_COURSE_DATA = {"dataset": "mnist", "validation_fraction": 0.0}


def _preset(
    name: str, label: str, blurb: str, image_shape: tuple[int, int, int], **config: Any
) -> Preset:
    return Preset(name, label, blurb, image_shape, parse_config({"preset": name, **config}))


_ALL = (
    _preset(
        "mnist-vae",
        "MNIST VAE",
        "Sixteen latents on handwritten digits; the model that is shipped.",
        (1, 28, 28),
        family="vae",
        data={"dataset": "mnist", "validation_fraction": 0.0},
        model={"latent_dim": 16, "options": {"channels": (32, 64), "hidden": 128}},
        objective={"schedule": "linear", "schedule_steps": 1500},
        train={"epochs": 15, "batch_size": 64, "learning_rate": 2e-3, "decay": "cosine"},
    ),
    _preset(
        "digits-vae",
        "Small digits VAE",
        "1797 built-in digits: trains within a minute, with no download.",
        (1, 32, 32),
        family="vae",
        data={"dataset": "digits"},
        model={"latent_dim": 8, "options": {"channels": (16, 32, 64), "hidden": 128}},
        train={"epochs": 40, "batch_size": 64, "decay": "cosine"},
    ),
    _preset(
        "sprites-vae",
        "Sprites VAE",
        "Drawn shapes with known factors; its directions move, grow and turn them.",
        (1, 64, 64),
        family="vae",
        data={"dataset": "sprites", "limit": 40_000},
        model={"latent_dim": 10, "options": {"channels": (32, 32, 64, 64), "hidden": 256}},
        objective={"schedule": "linear", "schedule_steps": 1500},
        train={"epochs": 10, "batch_size": 64, "learning_rate": 2e-3, "decay": "cosine"},
    ),
    _preset(
        "images-vae",
        "Your images VAE",
        "Colour pictures at 64×64 with a learned pixel noise; a start for your own.",
        (3, 64, 64),
        family="vae",
        data={"dataset": "folder", "image_size": 64},
        model={"latent_dim": 64},
        train={"epochs": 30, "batch_size": 64, "decay": "cosine"},
    ),
    _preset(
        "course-ae",
        "Course autoencoder",
        "The autoencoder of a well-known course: five codes, squared error.",
        (1, 28, 28),
        family="autoencoder",
        data=_COURSE_DATA,
        model=_COURSE_MODEL,
        train=_COURSE_TRAINING,
    ),
    _preset(
        "course-vae",
        "Course VAE",
        "The same with mean and log σ heads: MSE + 0.1·KL on normalised pixels.",
        (1, 28, 28),
        family="vae",
        data=_COURSE_DATA,
        model=_COURSE_MODEL,
        objective={
            "beta": beta_from_mse_mean_kl_mean(
                0.1, _COURSE_PIXELS, _COURSE_LATENTS, sigma=_COURSE_STD, pixel_std=_COURSE_STD
            )
        },
        train=_COURSE_TRAINING,
    ),
)

presets: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def get_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UserError: when there is none; the sentence lists those there are.
    """
    if name in presets:
        return presets[name]
    raise unknown("preset", name, presets)
