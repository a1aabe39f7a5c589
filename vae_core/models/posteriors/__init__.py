"""What an encoder returns: a distribution over z for every image of a batch."""

from vae_core.models.posteriors.divergence import EVALUATION_DRAWS, Estimated, divergence
from vae_core.models.posteriors.full_covariance import FullCovariancePosterior
from vae_core.models.posteriors.gaussian import GaussianPosterior, normal_like
from vae_core.models.posteriors.point import PointPosterior
from vae_core.models.posteriors.priced import MixturePricedPosterior
from vae_core.models.posteriors.quantised import QuantisedPosterior

__all__ = [
    "EVALUATION_DRAWS",
    "Estimated",
    "FullCovariancePosterior",
    "GaussianPosterior",
    "MixturePricedPosterior",
    "PointPosterior",
    "QuantisedPosterior",
    "divergence",
    "normal_like",
]
