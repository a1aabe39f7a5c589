"""Codes as often as each place has them, every place by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae_core.latent.priors.prior import are_codes, encoded_codes, load_prior, priors, save_prior
from vae_core.models import QuantisedModel
from vae_core.runs import Run

NAME = "code-frequencies"


@priors.register(
    NAME,
    label="Code frequencies",
    blurb="Each place draws a code as often as the encodings have it there; places ignore others.",
    of_codes=True,
)
@dataclass(frozen=True)
class CodeFrequencies:
    """The empirical distribution of codes at every place."""

    run: Run
    model: QuantisedModel

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        vocabulary, counts = self.frequencies()
        shares = (counts / counts.amax(1, keepdim=True)) ** (1 / temperature)
        drawn = torch.multinomial(shares, n, True, generator=generator)  # [places, n]
        codes = vocabulary[drawn.T].view(n, *self.model.places)
        return self.model.quantiser.vectors(codes.to(self.model.device))

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """The codes that occur, [V], and how often at every place, [places, V]; raises as
        `load_encodings`."""
        tensors = load_prior(self.run, NAME, fits=self._fits)
        if tensors is None:
            codes, step = encoded_codes(self.run, self.model)
            vocabulary, numbers = codes.flatten(1).unique(return_inverse=True)
            counts = torch.zeros(numbers.shape[1], len(vocabulary))
            counts.scatter_add_(1, numbers.T, torch.ones(numbers.T.shape))
            tensors = {"vocabulary": vocabulary, "counts": counts}
            save_prior(self.run, NAME, tensors, step)
        return tensors["vocabulary"], tensors["counts"]

    def _fits(self, tensors: dict[str, Tensor]) -> bool:
        vocabulary, counts = tensors["vocabulary"], tensors["counts"]
        places = math.prod(self.model.places)
        known = counts.isfinite().all() and (counts >= 0).all() and (counts.sum(1) > 0).all()
        shape = (places, len(vocabulary))
        return are_codes(vocabulary, self.model) and counts.shape == shape and bool(known)
