"""Codes one after the other, each knowing those before it: a small recurrent network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vae_core.data import Progress, no_progress
from vae_core.errors import UserError
from vae_core.latent.priors.codes import numbered, unseen_share, with_unseen
from vae_core.latent.priors.prior import (
    NotLearned,
    are_codes,
    encoded_codes,
    load_prior,
    priors,
    save_prior,
)
from vae_core.models import LatentModel, QuantisedModel
from vae_core.runs import Run

NAME = "autoregressive"
MOST_CODES = 4096
HELD_OUT = 10  # every tenth encoding measures


class CodeModel(nn.Module):
    """p(c) = Πₜ p(cₜ | c₍<t₎), places row by row, by a gated recurrent network.

    Source: van den Oord et al., Neural Discrete Representation Learning (2017), section 3.3, for
    an autoregressive prior over codes; Cho et al., Learning Phrase Representations (2014), for the
    network.
    """

    def __init__(self, vocabulary: int, places: int, width: int = 128) -> None:
        super().__init__()
        self.start = vocabulary
        self.codes = nn.Embedding(vocabulary + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(places, width))
        self.network = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits of every code given those before it, int64 [B, T] → [B, T, V]."""
        before = functional.pad(codes[:, :-1], (1, 0), value=self.start)
        return self.head(self.network(self.codes(before) + self.place)[0])

    def place_nll(self, codes: Tensor) -> Tensor:
        """−log p(cₜ | c₍<t₎) in nats of every place, [B, T] → [B, T]."""
        logits = self(codes).transpose(1, 2)
        return functional.cross_entropy(logits, codes, reduction="none")

    def nll(self, codes: Tensor) -> Tensor:
        """−log p(c) in nats, [B, T] → [B]."""
        return self.place_nll(codes).sum(1)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        """n draws, logits divided by `temperature`, int64 [n, T]."""
        code, state, drawn = torch.full((n, 1), self.start), None, []
        for place in self.place:
            out, state = self.network(self.codes(code) + place, state)
            shares = (self.head(out[:, 0]) / temperature).softmax(1)
            code = torch.multinomial(shares, 1, generator=generator)
            drawn.append(code)
        return torch.cat(drawn, 1)


@dataclass(frozen=True)
class CodeLength:
    """What a held-out image's codes cost under three priors, in nats."""

    uniform: float
    frequencies: float
    autoregressive: float


def learn(
    run: Run,
    model: LatentModel,
    epochs: int = 30,
    seed: int = 0,
    progress: Progress = no_progress,
) -> CodeLength:
    """Learn an autoregressive prior from the run's encodings and keep it in the cache.

    The epoch that is best on held-out encodings counts; 3000 maps of 7×7 codes take half a minute.

    Raises:
        UserError: when the model has no codes, too many of them are in use, or the run has too
            few encodings.
    """
    if not isinstance(model, QuantisedModel):
        raise UserError(f"Run {run.id!r} has no codes; an autoregressive prior is one over codes.")
    codes, step = encoded_codes(run, model)
    vocabulary, numbers = codes.flatten(1).unique(return_inverse=True)
    if len(vocabulary) > MOST_CODES:
        raise UserError(
            f"Run {run.id!r} uses {len(vocabulary)} different codes; an autoregressive prior "
            f"learns at most {MOST_CODES}. Train with fewer latent dimensions or levels, or take "
            "the prior code-frequencies."
        )
    held = torch.arange(len(numbers)) % HELD_OUT == 0
    if len(numbers) < 2 * HELD_OUT:
        raise UserError(f"An autoregressive prior needs {2 * HELD_OUT} encodings or more.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CodeModel(len(vocabulary), numbers.shape[1])
        best = _train(network, numbers[~held], numbers[held], epochs, progress)
    save_prior(run, NAME, network.state_dict() | {"vocabulary": vocabulary}, step)
    uniform = numbers.shape[1] * math.log(model.quantiser.codes)
    return CodeLength(uniform, frequency_nats(numbers[~held], numbers[held]), best)


def frequency_nats(seen: Tensor, held: Tensor) -> float:
    """Mean −log p of held-out codes [M, T] in nats under each place's counts in `seen` [N, T], plus
    one, so that what was not seen stays possible."""
    vocabulary = int(max(seen.max(), held.max())) + 1
    counts = torch.ones(seen.shape[1], vocabulary)
    counts.scatter_add_(1, seen.T, torch.ones(seen.T.shape))
    logs = (counts / counts.sum(1, keepdim=True)).log()
    return -float(logs.gather(1, held.T).sum(0).mean())


def _train(
    network: CodeModel, seen: Tensor, held: Tensor, epochs: int, progress: Progress
) -> float:
    """Leave the network with the weights of its best epoch; their held-out nats per image."""
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    best, weights, message = float("inf"), network.state_dict(), "Learning the prior"
    for epoch in range(epochs):
        for rows in torch.randperm(len(seen)).split(64):
            progress(message, epoch / epochs)
            optimizer.zero_grad()
            network.nll(seen[rows]).mean().backward()
            optimizer.step()
        with torch.no_grad():
            nats = float(torch.cat([network.nll(part) for part in held.split(256)]).mean())
        nth = f"epoch {epoch + 1} of {epochs}"
        message = f"Learning the prior, after {nth}: {nats:.2f} nats per image held out"
        progress(message, (epoch + 1) / epochs)
        if nats < best:
            best = nats
            weights = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    return best


@priors.register(
    NAME,
    label="Autoregressive",
    blurb="A small network that lays codes one by one; learned after the run, once.",
    paper="van den Oord, Vinyals and Kavukcuoglu (2017), section 3.3",
    of_codes=True,
    learn=lambda run, model, progress: learn(run, model, progress=progress),
)
@dataclass(frozen=True)
class AutoregressivePrior:
    """The network that `learn` kept."""

    run: Run
    model: QuantisedModel

    def sample(self, n: int, generator: Generator | None, temperature: float) -> Tensor:
        network, vocabulary = self._learned
        codes = vocabulary[network.sample(n, generator, temperature)].view(n, *self.model.places)
        return self.model.quantiser.vectors(codes.to(self.model.device))

    @torch.no_grad()
    def log_prob(self, z: Tensor) -> Tensor:
        """A code that the network never saw costs what unseen ones do; where later places look
        back at it, another one stands for it."""
        network, vocabulary = self._learned
        numbers, seen = numbered(self.model.quantiser.indices(z).cpu().flatten(1), vocabulary)
        log_p = (-network.place_nll(numbers)).masked_fill(~seen, -math.inf)
        return with_unseen(log_p, self._unseen, self.model.quantiser.codes).sum(1).to(z)

    @cached_property
    def _learned(self) -> tuple[CodeModel, Tensor]:
        """The network, and the codes that it numbers, ascending."""
        tensors = load_prior(self.run, NAME, fits=self._fits)
        if tensors is None:
            raise NotLearned(
                f"Run {self.run.id!r} has no autoregressive prior for its present codes; "
                f"`python -m vae_core prior {self.run.id}` learns one."
            )
        vocabulary = tensors.pop("vocabulary")
        network = CodeModel(len(vocabulary), *tensors["place"].shape)
        network.load_state_dict(tensors)
        return network, vocabulary

    @cached_property
    def _unseen(self) -> Tensor:
        """As `unseen_share`, of all places together."""
        codes, _ = encoded_codes(self.run, self.model)
        return unseen_share(codes.unique(return_counts=True)[1])

    def _fits(self, tensors: dict[str, Tensor]) -> bool:
        vocabulary, place = tensors["vocabulary"], tensors["place"]
        if len(vocabulary) > MOST_CODES or not are_codes(vocabulary, self.model):
            return False
        with torch.device("meta"):
            network = CodeModel(len(vocabulary), *place.shape)
        made = {key: (t.shape, t.dtype) for key, t in network.state_dict().items()}
        found = {key: (t.shape, t.dtype) for key, t in tensors.items() if key != "vocabulary"}
        places = math.prod(self.model.places)
        known = all(tensors[key].isfinite().all() for key in made)
        return made == found and known and len(place) == places
