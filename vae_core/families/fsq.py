"""Finite scalar quantisation: numbers rounded to a few levels in place of a codebook."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.families.codes import CODES, QuantisedObjective, quantised
from vae_core.families.family import Built, families
from vae_core.families.networks import MapOptions
from vae_core.models import QuantisedPosterior, Quantiser
from vae_core.runs import DataCard
from vae_core.settings import setting

USUAL_LEVELS = 5  # the paper's advice is five or more, section 3.2
MOST_CODES = 2**62
"""Codes are numbered with 64-bit integers."""


class FsqOptions(MapOptions):
    """The levels of each dimension, and where the codes lie."""

    levels: tuple[int, ...] | None = setting(
        None,
        "Levels",
        "Values that each latent dimension can take; empty gives every one of them five.",
        min_length=1,
    )

    def levels_of(self, latent_dim: int) -> tuple[int, ...]:
        """The levels of all dimensions."""
        return self.levels or (USUAL_LEVELS,) * latent_dim

    def code_count(self, latent_dim: int) -> int:
        """How many codes there are, K."""
        return math.prod(self.levels_of(latent_dim))


def check_levels(config: RunConfig, data: DataCard, options: FsqOptions) -> None:
    """Refuse levels that do not belong to the latent dimensions, or too many combinations."""
    dims, levels = config.model.latent_dim, options.levels_of(config.model.latent_dim)
    if len(levels) != dims:
        raise UserError(
            f"objective.levels: {len(levels)} levels for {dims} latent dimensions; give one for "
            "each, or change model.latent_dim."
        )
    if min(levels) < 2:
        raise UserError(f"objective.levels: each has to be 2 or more (one is {min(levels)}).")
    if math.prod(levels) > MOST_CODES:
        raise UserError(
            f"model.latent_dim: {dims} dimensions make more codes than can be counted; "
            "take fewer of them, or fewer objective.levels."
        )


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
        """A scaled tanh; for an even number of levels its range is moved by half a level and zero
        stays zero."""
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


@families.register(
    "fsq",
    label="FSQ",
    blurb="Latents rounded to a few levels: discrete codes with no codebook to look after.",
    formula=r"-\log p(x \mid \mathrm{round}(z)) + \textstyle\sum_{i,j} \log K",
    when="You want discrete codes of which none fall idle; take 3 to 6 latent dimensions.",
    paper="Mentzer, Minnen, Agustsson and Tschannen (2023), section 3.1",
    terms=CODES,
    options=FsqOptions,
    check=check_levels,
)
def fsq(config: ModelConfig, data: DataCard, options: FsqOptions) -> Built[QuantisedPosterior]:
    """`latent_dim` numbers for each place, each at one of its levels."""
    quantiser = FiniteScalarQuantiser(options.levels_of(config.latent_dim))
    model = quantised(config, data, options, quantiser)
    return model, QuantisedObjective(model.likelihood, quantiser.codes)
