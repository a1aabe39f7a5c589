"""From the encoder's features to a posterior."""

from vae_core.models.bottlenecks.deterministic import Deterministic
from vae_core.models.bottlenecks.diagonal import DiagonalGaussian
from vae_core.models.bottlenecks.full_covariance import FullCovariance
from vae_core.models.bottlenecks.quantised import FiniteScalar, VectorQuantised
from vae_core.models.bottlenecks.spatial import SpatialGaussian

__all__ = [
    "Deterministic",
    "DiagonalGaussian",
    "FiniteScalar",
    "FullCovariance",
    "SpatialGaussian",
    "VectorQuantised",
]
