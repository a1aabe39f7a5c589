"""No distribution: one code for each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True)
class PointPosterior:
    """All mass on one code: what a plain autoencoder's encoder returns; z [B, D]."""

    z: Tensor

    @property
    def aux(self) -> Mapping[str, Tensor]:
        return {"mu": self.z}

    def sample(self, generator: Generator | None = None) -> Tensor:
        """The code itself, [B, D]."""
        return self.z

    def mode(self) -> Tensor:
        """The code itself, [B, D]."""
        return self.z

    def kl(self) -> None:
        """Undefined: a point has infinite divergence from a density."""
        return None
