"""LatentModel and what it is made of: backbones, bottlenecks, posteriors, likelihoods."""

from vae_core.models.backbones import backbones
from vae_core.models.dial import Dial
from vae_core.models.given import GivenModel, Halves, Scale
from vae_core.models.latent_model import Autoencoder, LatentModel, Output, evaluating
from vae_core.models.likelihoods import Likelihood, likelihoods
from vae_core.models.posterior import (
    EVALUATION_DRAWS,
    Bottleneck,
    DensityPosterior,
    Deterministic,
    DiagonalGaussian,
    GaussianMixture,
    GaussianPosterior,
    PointPosterior,
    Posterior,
    TractablePosterior,
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
    "Dial",
    "GaussianMixture",
    "GaussianPosterior",
    "GivenModel",
    "Halves",
    "LatentModel",
    "Likelihood",
    "Output",
    "PointPosterior",
    "Posterior",
    "QuantisedBottleneck",
    "QuantisedModel",
    "QuantisedPosterior",
    "Quantiser",
    "Scale",
    "TractablePosterior",
    "backbones",
    "evaluating",
    "likelihoods",
]
