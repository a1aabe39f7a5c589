"""Latents that are codes out of a finite set, one for each place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from vae_core.models.backbones import Backbone
from vae_core.models.latent_model import LatentModel, Output
from vae_core.models.likelihoods import Likelihood
from vae_core.models.point import PointPosterior
from vae_core.models.posterior import Bottleneck


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


class Quantiser(nn.Module):
    """`codes` vectors of `dim` numbers, one of which stands for every place of a map."""

    codes: int
    dim: int

    def forward(self, z: Tensor) -> Tensor:
        """The nearest code of every place, [B, dim, h, w] to the same.

        The gradient is passed straight through to z (van den Oord et al. 2017, section 3.2).
        """
        return straight_through(z, self.vectors(self.indices(z)))

    def indices(self, z: Tensor) -> Tensor:
        """The number of the nearest code of every place, [B, dim, h, w] → int64 [B, h, w]."""
        raise AssertionError("a quantiser defines its indices")

    def vectors(self, indices: Tensor) -> Tensor:
        """The codes of these numbers, [B, h, w] → [B, dim, h, w]."""
        raise AssertionError("a quantiser defines its vectors")

    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """Numbers of codes drawn independently, as often as codes are used; int64 `shape`."""
        raise AssertionError("a quantiser defines how codes are drawn")


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """The codes, exactly, with the gradient of z."""
    return codes + (z - z.detach())


class QuantisedModel(LatentModel[QuantisedPosterior]):
    """z are the vectors of codes, [B, dim, h, w].

    Latent tools move them continuously; whatever they are moved to, `decode` takes the nearest
    codes.
    """

    no_density = "The latents of this model are codes of a finite set, which have no density."

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        places: tuple[int, int],
        backbone: Backbone,
        bottleneck: Bottleneck[QuantisedPosterior],
        quantiser: Quantiser,
        likelihood: Likelihood,
        pixel_mean: float = 0.0,
        pixel_std: float = 1.0,
    ) -> None:
        """`quantiser` is the one inside the bottleneck."""
        shape = (quantiser.dim, *places)
        super().__init__(
            image_shape, shape, backbone, bottleneck, likelihood, pixel_mean, pixel_std
        )
        self.places = places
        self._quantiser = (quantiser,)  # in a tuple: it is a part of the bottleneck already

    @property
    def quantiser(self) -> Quantiser:
        return self._quantiser[0]

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

    def indices(self, z: Tensor) -> Tensor:
        """The numbers of the codes nearest to z [B, dim, h, w]: int64 [B, h, w]."""
        return self.quantiser.indices(z)

    def vectors(self, indices: Tensor) -> Tensor:
        """The latents of codes with these numbers [B, h, w]: [B, dim, h, w]."""
        return self.quantiser.vectors(indices)

    def prior(self) -> None:
        """Codes have probabilities; the continuous vectors that tools move have no density."""
        return None

    @torch.no_grad()
    def sample_prior(
        self, n: int, generator: Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """n draws with the code of each place by itself, as often as it is used."""
        return self.vectors(self.quantiser.draw((n, *self.places), generator, temperature))
