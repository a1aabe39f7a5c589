"""What families share: a backbone around a bottleneck, a trunk cut into maps, and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from torch import nn

from vae_core.config import ModelConfig
from vae_core.errors import UserError
from vae_core.families.family import Build, Built
from vae_core.models import (
    Autoencoder,
    Bottleneck,
    DensityPosterior,
    Deterministic,
    DiagonalGaussian,
    GaussianPosterior,
    LatentModel,
    Likelihood,
    PointPosterior,
    backbones,
    likelihoods,
)
from vae_core.models.backbones import Backbone, Shape, Trunk, trunks
from vae_core.models.backbones.neck import maps_of
from vae_core.models.likelihoods import resolve_likelihood
from vae_core.models.posterior import P_co
from vae_core.objective import Objective
from vae_core.runs import DataCard
from vae_core.settings import Settings, setting

ModelT = TypeVar("ModelT", bound=LatentModel)

MakeBottleneck = Callable[[int, int], Bottleneck[P_co]]
"""From F features and the latent dimensions to what makes a posterior of features [B, F]."""


def deterministic(config: ModelConfig, data: DataCard) -> LatentModel[PointPosterior]:
    """A backbone with a point as code: the network of autoencoders."""
    return latent_model(config, data, Deterministic, Autoencoder)


def diagonal_gaussian(config: ModelConfig, data: DataCard) -> LatentModel[GaussianPosterior]:
    """A backbone with N(μ, diag σ²) as posterior: the network of most VAEs."""
    return latent_model(config, data, gaussian_head(config))


def gaussian_head(config: ModelConfig) -> MakeBottleneck[GaussianPosterior]:
    """Makes the heads for μ and log σ² of a diagonal Gaussian."""
    return partial(DiagonalGaussian, scale_head=config.scale_head, logvar_range=config.logvar_range)


def on_diagonal_gaussian(
    objective: Callable[
        [Likelihood, Any], Objective[GaussianPosterior] | Objective[DensityPosterior]
    ],
) -> Build:
    """The builder of a family: `diagonal_gaussian` × an objective of `(likelihood, options)`."""

    def build(config: ModelConfig, data: DataCard, options: Any) -> Built[Any]:
        model = diagonal_gaussian(config, data)
        return model, objective(model.likelihood, options)

    return build


def latent_model(
    config: ModelConfig,
    data: DataCard,
    bottleneck: MakeBottleneck[P_co],
    make: Callable[..., LatentModel[P_co]] = LatentModel,
) -> LatentModel[P_co]:
    """The configured backbone and likelihood around a bottleneck; `make` takes them all."""
    backbone = backbone_between(config, data)
    between = bottleneck(backbone.features, config.latent_dim)
    return assembled(config, data, make, (config.latent_dim,), backbone, between)


def backbone_between(config: ModelConfig, data: DataCard, labels: int = 0) -> Backbone:
    """The configured backbone between images and logits; either half takes `labels` channels, or
    numbers, more than images and latents have."""
    entry = backbones[config.backbone]
    options = entry.parse_options(config.options, "model.options")
    channels, height, width = data.image_shape
    inwards = (channels + labels, height, width), config.latent_dim
    outwards = logits_shape(config, data), config.latent_dim + labels
    backbone = entry.build(*inwards, options)
    if outwards == inwards:
        return backbone
    # A backbone mirrors itself, and here the two sides differ: take one half of each of two.
    back = entry.build(*outwards, options)
    return Backbone(backbone.encoder, backbone.features, back.decoder)


def assembled(
    config: ModelConfig, data: DataCard, make: Callable[..., ModelT], *parts: Any
) -> ModelT:
    """A model of these `parts` of a `LatentModel`; those before and after them are configured."""
    ends = (likelihood(config, data), config.pixel_mean, config.pixel_std)
    return make(data.image_shape, *parts, *ends)


def likelihood(config: ModelConfig, data: DataCard) -> Likelihood:
    """The configured likelihood for the channels of the images."""
    return likelihoods[resolve_likelihood(config.likelihood, data.image_shape[0])].build(config)


def logits_shape(config: ModelConfig, data: DataCard) -> Shape:
    """What the decoder puts out for an image: as many channels as the likelihood asks for."""
    channels, height, width = data.image_shape
    return likelihood(config, data).outputs(channels), height, width


def likelihood_of_pictures(config: ModelConfig, data: DataCard) -> Likelihood:
    """As `likelihood`, for a network whose decoder puts out pictures and nothing else.

    Raises:
        UserError: where the likelihood asks it for more.
    """
    found = likelihood(config, data)
    if found.outputs(data.image_shape[0]) != data.image_shape[0]:
        raise UserError(
            f"model.likelihood: {config.likelihood} takes more than a picture, which is all that "
            "this network's decoder gives; take another, such as gaussian-optimal."
        )
    return found


def weight_setting(default: float, title: str, help: str, **facts: Any) -> Any:
    """The setting of a term's weight."""
    return setting(default, title, help, ge=0, le=1e6, **facts)


SLOPE = 0.2
"""Of the leaky ReLUs of critics: Kim and Mnih (2018), appendix A."""


def critic_of_codes(inputs: int, units: int, layers: int, logits: int = 1) -> nn.Sequential:
    """Codes [B, inputs] → [B, logits], by fully connected layers of `units`."""
    widths = [inputs] + [units] * layers
    hidden: list[nn.Module] = []
    for a, b in pairwise(widths):
        hidden += [nn.Linear(a, b), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], logits))


LARGEST_MAP = 8
"""Places of the latents along a side, where nothing else is asked for."""


class MapOptions(Settings):
    """Where the latents lie."""

    halvings: int | None = setting(
        None,
        "Halvings",
        "How often the image is halved; every place then has all latent dimensions. "
        "Empty ends at 8×8 or below.",
        ge=1,
        le=9,
    )


def trunk_of(config: ModelConfig, data: DataCard, stages: int) -> Trunk:
    """The configured backbone's trunk with at least `stages` stages, as far as it has them; a
    `UserError` for a backbone without feature maps, or options that do not fit."""
    if config.backbone not in trunks:
        names = ", ".join(entry.name for entry in trunks)
        raise UserError(
            f"model.backbone: {config.backbone} keeps no places apart, which this family needs; "
            f"choose one of {names}."
        )
    entry = trunks[config.backbone]
    options = entry.parse_options(config.options, "model.options")
    trunk, shape = entry.build(data.image_shape, options, stages), logits_shape(config, data)
    if shape == data.image_shape:
        return trunk
    back = entry.build(shape, options, stages)
    return replace(trunk, outwards=back.outwards)


def model_on_maps(
    config: ModelConfig,
    data: DataCard,
    options: MapOptions,
    latent_dim: int,
    bottleneck: Callable[[int], Bottleneck[P_co]],
    make: Callable[..., LatentModel[P_co]] = LatentModel,
) -> LatentModel[P_co]:
    """The configured backbone's trunk, cut where the latents lie, around a bottleneck for maps.

    `latent_dim` latents lie at every place; `bottleneck` makes `maps [B, C, h, w] → Posterior`
    from C. Raises as `trunk_of`, and for more halvings than there are.
    """
    side = min(data.image_shape[1:])
    halvings = options.halvings or max(1, (max(side - 1, 1) // LARGEST_MAP).bit_length())
    trunk = trunk_of(config, data, halvings)
    there = len(trunk.inwards)
    if options.halvings is not None and options.halvings > there:
        _, height, width = data.image_shape
        raise UserError(
            f"objective.halvings: {options.halvings} are too many; this backbone halves images of "
            f"{height}×{width} at most {there} times."
        )
    trunk = trunk.cut(min(halvings, there))
    channels, height, width = trunk.shapes[-1]
    backbone = maps_of(trunk, latent_dim)
    shape = (latent_dim, height, width)
    return assembled(config, data, make, shape, backbone, bottleneck(channels))
