"""A network that is not ours: two halves that something else runs, behind our contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_core.errors import UserError
from vae_core.models.backbones import Backbone
from vae_core.models.latent_model import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.models.posterior import (
    Bottleneck,
    GaussianMixture,
    GaussianPosterior,
    PointPosterior,
    Posterior,
)

NO_ENCODER = (
    "This network has no encoder: what it draws can be explored, and images of yours cannot be "
    "encoded, found, measured or compared with it."
)

NO_DENSITY = "Nothing is known of how this network's codes are distributed."


@dataclass(frozen=True)
class Halves:
    """What runs a network.

    encode: images [B, C, H, W] as the network is used to see them → (z,) or (μ, log σ²), [B, …]
        each; None where there is no encoder.
    decode: latents [B, *latent_shape] → pictures [B, C, H, W] on the network's own scale.
    """

    encode: Callable[[Tensor], tuple[Tensor, ...]] | None
    decode: Callable[[Tensor], Tensor]
    latent_shape: tuple[int | None, ...] | None = None
    """What the decoder says that it takes, None for a side that it leaves open; None where it does
    not say."""
    image_shape: tuple[int | None, int | None, int | None] | None = None
    """The same of the encoder's images."""


@dataclass(frozen=True)
class Scale:
    """How the values of a network lie to those of images: x = mean + std · value, one number or one
    for each channel."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def into(self, x: Tensor) -> Tensor:
        """Images in [0, 1], [B, C, H, W], as the network is used to see them."""
        return (x - _channels(self.mean, x)) / _channels(self.std, x)

    def out_of(self, values: Tensor) -> Tensor:
        """What the network gives, [B, C, H, W], on the [0, 1] scale."""
        return values * _channels(self.std, values) + _channels(self.mean, values)


def _channels(numbers: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


class _Half(nn.Module):
    """Holds the place of a half until it is connected."""

    def __init__(self) -> None:
        super().__init__()
        self.run: Callable[[Tensor], object] | None = None

    def forward(self, values: Tensor) -> object:
        assert self.run is not None, "connect() comes first"
        return self.run(values)


class _Gaussian(Bottleneck[GaussianPosterior]):
    def forward(self, found: tuple[Tensor, ...]) -> GaussianPosterior:
        return GaussianPosterior(*found)


class _Point(Bottleneck[PointPosterior]):
    def forward(self, found: tuple[Tensor, ...]) -> PointPosterior:
        return PointPosterior(found[0])


BOTTLENECKS: dict[str, type[Bottleneck]] = {
    "gaussian": _Gaussian,
    "point": _Point,
    "none": _Point,
}
"""By what the encoder gives: μ and log σ², codes alone, or nothing as there is none."""


class GivenModel(LatentModel[Posterior]):
    """Halves behind the contract of every model. `connect` gives it its halves.

    Without an encoder p(z) is N(0, I), from which GANs draw. Codes of an encoder that gives no
    variance have no known density.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_shape: tuple[int, ...],
        kind: str,
        posterior: str,
        scales: tuple[Scale, Scale],
        likelihood: Likelihood,
    ) -> None:
        """kind: what runs the halves. scales: of the images that go in, and of those that come."""
        halves = Backbone(_Half(), math.prod(latent_shape), _Half())
        super().__init__(image_shape, latent_shape, halves, BOTTLENECKS[posterior](), likelihood)
        self.kind, self.scales = kind, scales
        self.no_encoder = NO_ENCODER if posterior == "none" else ""
        self.no_density = NO_DENSITY if posterior == "point" else ""

    @property
    def latent_note(self) -> str:
        return self.no_encoder

    def connect(self, halves: Halves) -> None:
        """From now on `halves` do the work."""
        self.encoder.run, self.decoder.run = halves.encode, halves.decode  # type: ignore[assignment]

    def normalised(self, x: Tensor) -> Tensor:
        return self.scales[0].into(x)

    def encode(self, x: Tensor) -> Posterior:
        """As any model; a `UserError` where there is no encoder, or it gives something else."""
        if self.no_encoder:
            raise UserError(self.no_encoder)
        found = self.encoder(self.normalised(x))
        wanted = (len(x), *self.latent_shapes[0])
        for each in found:
            _require_shape("encoder", each, wanted)
        found = tuple(each.float() for each in found)
        posterior: Posterior = self.bottleneck(found)
        return posterior

    def decode(self, z: Tensor) -> Tensor:
        """As any model: the logits are values of pixels. A `UserError` where the decoder gives
        something else."""
        found = self.decoder(z)
        _require_shape("decoder", found, (len(z), *self.image_shape))
        return self.scales[1].out_of(found.float())

    def prior(self) -> GaussianMixture | None:
        return None if self.no_density else super().prior()


def _require_shape(half: str, found: object, wanted: tuple[int, ...]) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"The {half} of this network gave {what} where {wanted} was expected.")
