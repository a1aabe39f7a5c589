"""Finite sets of codes and the way to the nearest of them."""

from vae_core.models.quantisers.finite_scalar import FiniteScalarQuantiser
from vae_core.models.quantisers.quantiser import Quantiser, straight_through
from vae_core.models.quantisers.vector import VectorQuantiser

__all__ = ["FiniteScalarQuantiser", "Quantiser", "VectorQuantiser", "straight_through"]
