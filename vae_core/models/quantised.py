"""Latents that are codes out of a finite set, one for each place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from vae_core.models.latent_model import LatentModel, Output
from vae_core.models.posterior import Bottleneck, PointPosterior


@dataclass(frozen=True)
class QuantisedPosterior(PointPosterior):
    """All mass on one code a place.

    Its KL is not one for each dimension: under a uniform prior a place costs log K, whatever z is.

    z: the nearest code of each place, gradients passed straight through, [B, L, h, w].
    continuous: what the encoder said, [B, L, h, w].
    indices: which code that is, int64 [B, h, w].
    """

    continuous: Tensor
    indices: Tensor

    def draws(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """The codes themselves, each time: their probability given the image is 1."""
        z = self.z.expand(n, *self.z.shape)
        return z, z.new_zeros(z.shape[:2])


class Quantiser(nn.Module, ABC):
    """`codes` vectors of `dim` numbers, one of which stands for every place of a map."""

    codes: int
    dim: int

    def forward(self, z: Tensor) -> Tensor:
        """The nearest code of every place, [B, dim, h, w] to the same, gradients passed straight
        through to z (van den Oord et al. 2017, section 3.2)."""
        return straight_through(z, self.vectors(self.indices(z)))

    def bound(self, features: Tensor) -> Tensor:
        """Any numbers to the range of the codes, [B, dim, h, w] to the same."""
        return features

    def start(self, z: Tensor) -> None:
        """Before the first encodings z [B, dim, h, w] of a training are quantised."""

    def follow(self, z: Tensor, indices: Tensor) -> None:
        """After each batch of encodings z [B, dim, h, w] that went to the codes `indices`."""

    @abstractmethod
    def indices(self, z: Tensor) -> Tensor:
        """The number of the nearest code of every place, [B, dim, h, w] → int64 [B, h, w]."""

    @abstractmethod
    def vectors(self, indices: Tensor) -> Tensor:
        """The codes of these numbers, [B, h, w] → [B, dim, h, w]."""

    @abstractmethod
    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """Numbers of codes drawn independently, as often as codes are used; int64 `shape`."""


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """The codes, exactly, with the gradient of z."""
    return codes + (z - z.detach())


class QuantisedBottleneck(Bottleneck[QuantisedPosterior]):
    """A 1×1 convolution, then the nearest code of every place."""

    def __init__(self, channels: int, quantiser: Quantiser) -> None:
        super().__init__()
        self.continuous = nn.Conv2d(channels, quantiser.dim, 1)
        self.quantiser = quantiser

    def forward(self, maps: Tensor) -> QuantisedPosterior:
        """maps [B, C, h, w] → one code for each place; while training codes may move on."""
        continuous = self.quantiser.bound(self.continuous(maps))
        if self.training:
            self.quantiser.start(continuous)
        indices = self.quantiser.indices(continuous)
        z = straight_through(continuous, self.quantiser.vectors(indices))
        if self.training:
            self.quantiser.follow(continuous, indices)
        return QuantisedPosterior(z, continuous, indices)


class QuantisedModel(LatentModel[QuantisedPosterior]):
    """z are the vectors of codes, [B, dim, h, w]; wherever latent tools move them, `decode` takes
    the nearest codes."""

    no_density = "The latents of this model are codes of a finite set, which have no density."

    bottleneck: QuantisedBottleneck

    @property
    def quantiser(self) -> Quantiser:
        return self.bottleneck.quantiser

    @property
    def places(self) -> tuple[int, ...]:
        """Height and width of the map of codes."""
        return self.latent_shapes[0][1:]

    @property
    def latent_note(self) -> str:
        return (
            f"Every place shows the nearest of {self.quantiser.codes} codes, so that pictures "
            "change in steps."
        )

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output[QuantisedPosterior]:
        """As of any model; codes that come from the encoder are not sought again."""
        posterior = self.encode(x)
        z = posterior.sample(generator)
        return Output(posterior, z, self.decoder(z))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|codes nearest to z), [B, C, H, W]."""
        return super().decode(self.quantiser(z))

    def prior(self) -> None:
        """Codes have probabilities; the continuous vectors that tools move have no density."""
        return None

    @torch.no_grad()
    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws with the code of each place by itself, as often as it is used."""
        codes = self.quantiser.draw((n, *self.places), generator, temperature)
        return self.quantiser.vectors(codes)
