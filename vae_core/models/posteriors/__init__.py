"""What an encoder returns: a distribution over z for every image of a batch."""

from vae_core.models.posteriors.full_covariance import FullCovariancePosterior
from vae_core.models.posteriors.gaussian import GaussianPosterior, normal_like
from vae_core.models.posteriors.point import PointPosterior
from vae_core.models.posteriors.quantised import QuantisedPosterior

__all__ = [
    "FullCovariancePosterior",
    "GaussianPosterior",
    "PointPosterior",
    "QuantisedPosterior",
    "normal_like",
]
