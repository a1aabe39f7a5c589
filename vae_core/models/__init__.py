"""LatentModel and what it is made of: backbones, bottlenecks, posteriors, likelihoods."""

from vae_core.models.backbones import backbones
from vae_core.models.gaussian import DiagonalGaussian, GaussianPosterior
from vae_core.models.latent_model import LatentModel, Output
from vae_core.models.likelihoods import Likelihood, likelihoods
from vae_core.models.point import Autoencoder, Deterministic, PointPosterior
from vae_core.models.posterior import (
    EVALUATION_DRAWS,
    Bottleneck,
    DensityPosterior,
    GaussianMixture,
    Posterior,
)
from vae_core.models.quantised import (
    QuantisedBottleneck,
    QuantisedModel,
    QuantisedPosterior,
    Quantiser,
)

__all__ = [
    "EVALUATION_DRAWS",
    "Autoencoder",
    "Bottleneck",
    "DensityPosterior",
    "Deterministic",
    "DiagonalGaussian",
    "GaussianMixture",
    "GaussianPosterior",
    "LatentModel",
    "Likelihood",
    "Output",
    "PointPosterior",
    "Posterior",
    "QuantisedBottleneck",
    "QuantisedModel",
    "QuantisedPosterior",
    "Quantiser",
    "backbones",
    "likelihoods",
]
