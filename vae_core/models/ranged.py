"""A model whose codes keep to a range, wherever latent tools move them."""

from __future__ import annotations

from torch import Generator, Tensor

from vae_core.models.autoencoder import Autoencoder
from vae_core.models.bottlenecks import Deterministic
from vae_core.models.ranges import Range
from vae_core.types import Output


class RangedModel(Autoencoder):
    """`decode` takes the code nearest to what it is given, so that only codes are ever shown."""

    @property
    def _range(self) -> Range:
        """What codes can be: the activation of the bottleneck, a `Deterministic`."""
        assert isinstance(self.bottleneck, Deterministic)
        assert isinstance(self.bottleneck.activation, Range)
        return self.bottleneck.activation

    @property
    def latent_note(self) -> str:
        return self._range.note

    def forward(self, x: Tensor, generator: Generator | None = None) -> Output:
        """As of any model; codes that come from the encoder are in range already."""
        posterior = self.encode(x)
        z = posterior.sample(generator)
        return Output(posterior, z, self.decoder(z))

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|code nearest to z), [B, C, H, W]."""
        return super().decode(self._range.nearest(z))
