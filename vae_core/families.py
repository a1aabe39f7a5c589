"""Families: where a network and an objective are put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.models import LatentModel, backbones, likelihoods
from vae_core.models.bottlenecks import Deterministic, DiagonalGaussian
from vae_core.models.likelihoods import Likelihood, resolve_likelihood
from vae_core.objectives import AutoencoderObjective, Objective, VaeObjective, VaeOptions
from vae_core.registry import Registry

Shape = tuple[int, int, int]
Build = Callable[[ModelConfig, Shape, Any], tuple[LatentModel, Objective]]

families: Registry[Build] = Registry("family")
"""Builders `(model config, image shape, objective options) -> (model, objective)`."""

SMALLEST_SIDE = 8


def complete(config: RunConfig) -> RunConfig:
    """The configuration with every option of its family and backbone validated and spelt out.

    Raises:
        UserError: naming the setting that is unknown or out of range.
    """
    family, backbone = families[config.family], backbones[config.model.backbone]
    if config.model.likelihood != "auto":
        likelihoods[config.model.likelihood]
    objective = family.parse_options(config.objective, "objective")
    options = backbone.parse_options(config.model.options, "model.options")
    return config.updated(
        {
            "objective": objective.model_dump(mode="json"),
            "model": {"options": options.model_dump(mode="json")},
        }
    )


def build(config: RunConfig, image_shape: Shape) -> tuple[LatentModel, Objective]:
    """The model and the objective for images of shape (C, H, W); weights from torch's RNG.

    Raises:
        UserError: when the settings are invalid or the images do not fit.
    """
    if min(image_shape[1:]) < SMALLEST_SIDE:
        raise UserError(
            f"The images are {image_shape[1]}×{image_shape[2]}; "
            f"they must be at least {SMALLEST_SIDE}×{SMALLEST_SIDE}. Set data.image_size."
        )
    family = families[config.family]
    options = family.parse_options(config.objective, "objective")
    return family.build(config.model, image_shape, options)


@families.register(
    "autoencoder",
    label="Autoencoder",
    blurb="Learns to copy through a narrow code; sharp, but its space has holes.",
    paper="Hinton and Salakhutdinov (2006)",
)
def autoencoder(config: ModelConfig, image_shape: Shape, options: Any) -> tuple[Any, Any]:
    """Deterministic code, reconstruction only."""
    model = _latent_model(config, image_shape, Deterministic)
    return model, AutoencoderObjective(model.likelihood)


@families.register(
    "vae",
    label="VAE",
    blurb="Codes become small clouds drawn towards one prior, so every point decodes.",
    paper="Kingma and Welling (2014)",
    options=VaeOptions,
)
def vae(config: ModelConfig, image_shape: Shape, options: VaeOptions) -> tuple[Any, Any]:
    """Diagonal Gaussian posterior, evidence lower bound."""

    def bottleneck(features: int, latent_dim: int) -> DiagonalGaussian:
        return DiagonalGaussian(features, latent_dim, config.scale_head)

    model = _latent_model(config, image_shape, bottleneck)
    return model, VaeObjective(model.likelihood, options)


def _latent_model(
    config: ModelConfig, image_shape: Shape, bottleneck: Callable[[int, int], Any]
) -> LatentModel:
    entry = backbones[config.backbone]
    options = entry.parse_options(config.options, "model.options")
    backbone = entry.build(image_shape, config.latent_dim, options)
    return LatentModel(
        image_shape,
        config.latent_dim,
        backbone,
        bottleneck(backbone.features, config.latent_dim),
        _likelihood(config, image_shape[0]),
        config.pixel_mean,
        config.pixel_std,
    )


def _likelihood(config: ModelConfig, channels: int) -> Likelihood:
    built: Likelihood = likelihoods[resolve_likelihood(config.likelihood, channels)].build(config)
    return built
