"""From feature maps to codes out of a finite set."""

from __future__ import annotations

from torch import Tensor, nn

from vae_core.models.posteriors import QuantisedPosterior
from vae_core.models.quantisers import FiniteScalarQuantiser, VectorQuantiser, straight_through


class VectorQuantised(nn.Module):
    """A 1×1 convolution, then the nearest vector of a codebook that follows what it sees."""

    def __init__(self, channels: int, quantiser: VectorQuantiser) -> None:
        super().__init__()
        self.continuous = nn.Conv2d(channels, quantiser.dim, 1)
        self.quantiser = quantiser

    def forward(self, maps: Tensor) -> QuantisedPosterior:
        """maps [B, C, h, w] → one code for each place; while training the codebook moves on."""
        continuous = self.continuous(maps)
        if self.training:
            self.quantiser.start(continuous)
        indices = self.quantiser.indices(continuous)
        z = straight_through(continuous, self.quantiser.vectors(indices))
        if self.training:
            self.quantiser.follow(continuous, indices)
        return QuantisedPosterior(continuous, z, indices)


class FiniteScalar(nn.Module):
    """A 1×1 convolution, then every dimension rounded to one of its few levels."""

    def __init__(self, channels: int, quantiser: FiniteScalarQuantiser) -> None:
        super().__init__()
        self.continuous = nn.Conv2d(channels, quantiser.dim, 1)
        self.quantiser = quantiser

    def forward(self, maps: Tensor) -> QuantisedPosterior:
        """maps [B, C, h, w] → one code for each place."""
        continuous = self.quantiser.bound(self.continuous(maps))
        return QuantisedPosterior(
            continuous, self.quantiser(continuous), self.quantiser.indices(continuous)
        )
