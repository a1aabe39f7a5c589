"""Numbers rounded to a few levels: a codebook that nobody has to learn."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from vae_core.models.quantisers.quantiser import Quantiser


class FiniteScalarQuantiser(Quantiser):
    """Dimension i takes one of levels[i] values in [−1, 1]; a code is one choice for each.

    Source: Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple (2023), section 3.1.
    """

    counts: Tensor
    places: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.codes, self.dim = math.prod(levels), len(levels)
        counts = torch.tensor(levels)
        # A number of the code is its levels read as digits, the first one fastest.
        places = torch.tensor([math.prod(levels[:i]) for i in range(self.dim)])
        self.register_buffer("counts", counts.view(-1, 1, 1), persistent=False)
        self.register_buffer("places", places.view(-1, 1, 1), persistent=False)

    def bound(self, features: Tensor) -> Tensor:
        """Any numbers to the range of the codes, [B, dim, h, w] to the same.

        A scaled tanh; for an even number of levels its range is moved by half a level and
        zero stays zero.
        """
        half = (self.counts - 1) / 2 * (1 + 1e-3)  # a little more, so that the ends are reached
        offset = torch.where(self.counts % 2 == 0, 0.5, 0.0)
        shift = torch.atanh(offset / half)
        return (torch.tanh(features + shift) * half - offset) / self._middle

    def indices(self, z: Tensor) -> Tensor:
        """[B, dim, h, w] → int64 [B, h, w]; what lies outside goes to the outermost level."""
        digits = (z * self._middle).round().long() + self._middle
        digits = torch.minimum(digits.clamp_min(0), self.counts - 1)
        return (digits * self.places).sum(1)

    def vectors(self, indices: Tensor) -> Tensor:
        """[B, h, w] → [B, dim, h, w]."""
        digits = indices.unsqueeze(1) // self.places % self.counts
        return (digits - self._middle) / self._middle

    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """All alike, whatever the temperature: what the codes are meant to be used as."""
        device = self.counts.device
        return torch.randint(self.codes, shape, generator=generator, device=device)

    @property
    def _middle(self) -> Tensor:
        """The digit whose value is zero."""
        return self.counts // 2
