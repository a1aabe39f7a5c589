"""The nouns that networks, objectives and the loop share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Generator, Tensor


class Posterior(Protocol):
    """q(z|x), as an encoder returns it for a batch of B images."""

    @property
    def aux(self) -> Mapping[str, Tensor]:
        """What else the encoder knows, by name; e.g. `mu` and `logvar`, each [B, D]."""

    def sample(self, generator: Generator | None = None) -> Tensor:
        """A reparameterised draw z, [B, *latent_shape]."""

    def mode(self) -> Tensor:
        """The most likely z, [B, *latent_shape]."""

    def kl(self) -> Tensor | None:
        """KL(q(z|x) ‖ p(z)) of every latent dimension in nats, [B, D]; None where undefined."""


@dataclass(frozen=True)
class Output:
    """One pass through a model: the posterior, the z drawn from it, the logits decoded from z."""

    posterior: Posterior
    z: Tensor
    x_logits: Tensor


@dataclass(frozen=True)
class Term:
    """One term of an objective: its unweighted value for each image [B], and its weight now."""

    value: Tensor
    weight: float = 1.0


LossTerms = dict[str, Term]


def total(terms: LossTerms) -> Tensor:
    """What is minimised: Σ weight · mean over the batch, in nats per image (scalar)."""
    weighted = [term.weight * term.value.mean() for term in terms.values()]
    return sum(weighted[1:], start=weighted[0])


@dataclass(frozen=True)
class Context:
    """What an objective may know of the moment: the step, the generator of its noise, state."""

    step: int
    generator: Generator | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)
    """Values set by hand during the run, e.g. {"beta": 2.0}."""
