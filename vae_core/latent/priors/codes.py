"""Codes as often as each place has them, by itself; and what priors over codes share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from vae_core.latent.priors.prior import are_codes, encoded_codes, load_prior, priors, save_prior
from vae_core.models import QuantisedModel
from vae_core.runs import Run

NAME = "code-frequencies"


def numbered(codes: Tensor, vocabulary: Tensor) -> tuple[Tensor, Tensor]:
    """Where codes stand in an ascending vocabulary [V], and whether they do; of the shape of codes.
    What does not stand there has the place of another one."""
    places = torch.searchsorted(vocabulary, codes).clamp_max(len(vocabulary) - 1)
    return places, vocabulary[places] == codes


def unseen_share(counts: Tensor) -> Tensor:
    """The chance that the next draw is one that has not come yet, by counts [..., V] of those that
    have: the share of draws that came once, and 1/(n + 1) at least; [...].

    Source: Good, The Population Frequencies of Species and the Estimation of Population
    Parameters (1953).
    """
    n = counts.sum(-1)
    return torch.maximum((counts == 1).sum(-1) / n, 1 / (n + 1))


def with_unseen(log_p: Tensor, unseen: Tensor, codes: int) -> Tensor:
    """log((1 − ε)·p + ε/K) in nats: of probabilities p of codes that were seen, −∞ for others, with
    the share ε for all K alike, so that whatever comes has a length. Shapes broadcast."""
    return torch.logaddexp(torch.log1p(-unseen) + log_p, unseen.log() - math.log(codes))


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
        vocabulary, counts = self.frequencies
        shares = (counts / counts.amax(1, keepdim=True)) ** (1 / temperature)
        drawn = torch.multinomial(shares, n, True, generator=generator)  # [places, n]
        codes = vocabulary[drawn.T].view(n, *self.model.places)
        return self.model.quantiser.vectors(codes.to(self.model.device))

    def log_prob(self, z: Tensor) -> Tensor:
        vocabulary, counts = self.frequencies
        numbers, seen = numbered(self.model.quantiser.indices(z).cpu().flatten(1), vocabulary)
        log_p = (counts / counts.sum(1, keepdim=True)).log().gather(1, numbers.T).T
        log_p = log_p.masked_fill(~seen, -math.inf)
        return with_unseen(log_p, unseen_share(counts), self.model.quantiser.codes).sum(1).to(z)

    @cached_property
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
