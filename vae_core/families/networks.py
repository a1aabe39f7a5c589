"""The networks that families share: a backbone around a bottleneck."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vae_core.config import ModelConfig
from vae_core.models import LatentModel, backbones, likelihoods
from vae_core.models.autoencoder import Autoencoder
from vae_core.models.bottlenecks import Deterministic, DiagonalGaussian
from vae_core.models.likelihoods import Likelihood, resolve_likelihood
from vae_core.runs import DataCard

Bottleneck = Callable[[int, int], nn.Module]
"""Makes `features [B, F] → Posterior` from F and the latent dimensions."""


def deterministic(config: ModelConfig, data: DataCard) -> LatentModel:
    """A backbone with a point as code: the network of autoencoders."""
    return latent_model(config, data, Deterministic, Autoencoder)


def diagonal_gaussian(config: ModelConfig, data: DataCard) -> LatentModel:
    """A backbone with N(μ, diag σ²) as posterior: the network of most VAEs."""

    return latent_model(config, data, gaussian_head(config))


def gaussian_head(config: ModelConfig) -> Bottleneck:
    """Makes the heads for μ and log σ² of a diagonal Gaussian."""

    def bottleneck(features: int, latent_dim: int) -> DiagonalGaussian:
        return DiagonalGaussian(features, latent_dim, config.scale_head, config.logvar_range)

    return bottleneck


def latent_model(
    config: ModelConfig,
    data: DataCard,
    bottleneck: Bottleneck,
    make: Callable[..., LatentModel] = LatentModel,
) -> LatentModel:
    """The configured backbone and likelihood around a bottleneck; `make` takes them all."""
    entry = backbones[config.backbone]
    options = entry.parse_options(config.options, "model.options")
    backbone = entry.build(data.image_shape, config.latent_dim, options)
    return make(
        data.image_shape,
        (config.latent_dim,),
        backbone,
        bottleneck(backbone.features, config.latent_dim),
        likelihood(config, data),
        config.pixel_mean,
        config.pixel_std,
    )


def likelihood(config: ModelConfig, data: DataCard) -> Likelihood:
    """The configured likelihood for the channels of the images."""
    name = resolve_likelihood(config.likelihood, data.image_shape[0])
    built: Likelihood = likelihoods[name].build(config)
    return built
