"""The nouns that objectives and the loop share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Generator, Tensor

from vae_core.shares import batch_mean


@dataclass(frozen=True)
class Term:
    """One term of an objective: its unweighted value for each image [B], and its weight now.

    A weight of 0 stands for what is only watched. What belongs to a whole batch is the same for
    each of its images.
    """

    value: Tensor
    weight: float = 1.0


LossTerms = dict[str, Term]
"""Terms by name."""

Losses = dict[str, LossTerms]
"""The terms of each player."""


def total(terms: LossTerms) -> Tensor:
    """What is minimised: Σ weight · mean over the batch, in nats per image (scalar); of a share of
    a batch, what it adds to that."""
    weighted = [term.weight * batch_mean(term.value) for term in terms.values()]
    return sum(weighted[1:], start=weighted[0])


def merged(losses: Mapping[str, LossTerms]) -> LossTerms:
    """The terms of all players, each under its own name."""
    return {name: term for terms in losses.values() for name, term in terms.items()}


@dataclass(frozen=True)
class Context:
    """What an objective may know of the moment."""

    step: int
    generator: Generator | None = None
    """Of its noise."""
    overrides: Mapping[str, float] = field(default_factory=dict)
    """Values set by hand during the run, e.g. {"beta": 2.0}."""
    labels: Tensor | None = None
    """Of the images at hand, int64 [B], where the data set has labels."""
    train_images: int = 0
    """Size of the training part, N."""
    total_steps: int = 0
    """Steps of the whole run."""
    mask: Tensor | None = None
    """Of the images at hand, [B, 1, H, W]: 1 where a pixel counts, 0 where it is padding; None
    where all count."""
    batch: int = 0
    """Images of the whole batch, of which those at hand may be a share; 0 where they are all."""
