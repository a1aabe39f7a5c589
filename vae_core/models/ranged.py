"""A model whose codes keep to a range, wherever latent tools move them."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from vae_core.models.autoencoder import Autoencoder
from vae_core.models.backbones import Backbone
from vae_core.models.bottlenecks import Deterministic
from vae_core.models.likelihoods import Likelihood
from vae_core.models.ranges import Range
from vae_core.types import Output


class RangedModel(Autoencoder):
    """`decode` takes the code nearest to what it is given, so that only codes are ever shown."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_shape: tuple[int, ...],
        backbone: Backbone,
        bottleneck: nn.Module,
        likelihood: Likelihood,
        pixel_mean: float = 0.0,
        pixel_std: float = 1.0,
    ) -> None:
        """`bottleneck` is a `Deterministic` whose activation is a `Range`."""
        super().__init__(
            image_shape, latent_shape, backbone, bottleneck, likelihood, pixel_mean, pixel_std
        )
        assert isinstance(bottleneck, Deterministic) and isinstance(bottleneck.activation, Range)
        self._range = (bottleneck.activation,)  # in a tuple: it is a part of the bottleneck already

    @property
    def latent_note(self) -> str:
        return self._range[0].note

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output:
        """As of any model; codes that come from the encoder are in range already."""
        posterior = self.encode(x)
        z = posterior.sample(generator)
        return Output(posterior, z, self.decoder(z))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|code nearest to z), [B, C, H, W]."""
        return super().decode(self._range[0].nearest(z))
