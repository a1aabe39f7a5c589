"""A model whose latents are codes out of a finite set, one for each place."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from vae_core.models.backbones import Backbone
from vae_core.models.latent_model import LatentModel
from vae_core.models.likelihoods import Likelihood
from vae_core.models.quantisers import Quantiser
from vae_core.types import Output


class QuantisedModel(LatentModel):
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
        bottleneck: nn.Module,
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

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output:
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
