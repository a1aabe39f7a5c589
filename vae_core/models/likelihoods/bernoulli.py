"""Black or white: each value is the chance of a white pixel."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from vae_core.config import ModelConfig
from vae_core.losses import bernoulli_nll
from vae_core.losses.conventions import BERNOULLI
from vae_core.models.likelihoods.likelihood import Likelihood, likelihoods
from vae_core.shares import uniform_like


@likelihoods.register(
    "bernoulli",
    label="Bernoulli",
    blurb="Each grey value is the chance of a white pixel; right for ink on paper.",
    order=10,
)
class Bernoulli(Likelihood):
    error = BERNOULLI

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def mean(self, x_logits: Tensor) -> Tensor:
        return torch.sigmoid(x_logits)

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return bernoulli_nll(x_logits, x, mask)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        return (uniform_like(x_logits, generator) < self.mean(x_logits)).to(x_logits.dtype)
