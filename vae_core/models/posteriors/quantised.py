"""Codes out of a finite set, one for each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True)
class QuantisedPosterior:
    """All mass on one code a place.

    continuous: what the encoder said, [B, L, h, w].
    z: the nearest code of each place, gradients passed straight through, [B, L, h, w].
    indices: which code that is, int64 [B, h, w].
    """

    continuous: Tensor
    z: Tensor
    indices: Tensor

    @property
    def aux(self) -> Mapping[str, Tensor]:
        return {"mu": self.z, "continuous": self.continuous, "indices": self.indices}

    def sample(self, generator: Generator | None = None) -> Tensor:
        """The codes themselves, [B, L, h, w]."""
        return self.z

    def mode(self) -> Tensor:
        """The codes themselves, [B, L, h, w]."""
        return self.z

    def kl(self) -> None:
        """Not one for each dimension: under a uniform prior a place costs log K, whatever z is."""
        return None
