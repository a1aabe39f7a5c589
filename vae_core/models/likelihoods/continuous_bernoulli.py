"""The Bernoulli likelihood made a density on [0, 1], for grey values that are no chances."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vae_core.config import ModelConfig
from vae_core.models.likelihoods.likelihood import Likelihood, likelihoods
from vae_core.shares import uniform_like

SERIES = 0.25
"""Half a logit up to which the series are taken: what they leave out is below 1e-10, and beyond it
the closed forms lose nothing to cancellation."""

SERIES_OF_LOG_C = (1022 / 467775, 127 / 18900, 62 / 2835, 7 / 90, 1 / 3)
"""Of log(h coth h) in h², the highest power first; signs take turns."""


@likelihoods.register(
    "continuous-bernoulli",
    label="Continuous Bernoulli",
    blurb="The Bernoulli with the constant that makes it a density: for grey values as they are.",
    paper="Loaiza-Ganem and Cunningham (2019)",
    order=20,
)
class ContinuousBernoulli(Likelihood):
    """p(x) = C(λ) λ^x (1 − λ)^(1−x) for x in [0, 1], λ the sigmoid of the logit η.

    Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli: fixing a pervasive error in
    variational autoencoders (2019), section 3, written in η.
    """

    is_density = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def mean(self, x_logits: Tensor) -> Tensor:
        return continuous_bernoulli_mean(x_logits)

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        cross_entropy = functional.binary_cross_entropy_with_logits(x_logits, x, reduction="none")
        return cross_entropy - log_normaliser(x_logits)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        """By the inverse of the distribution function, log(1 + u (e^η − 1)) / η: that of −|η|,
        which cannot overflow, and mirrored where η > 0."""
        u = uniform_like(x_logits, generator)
        eta = -x_logits.abs().clamp_min(1e-6)  # nearer to 0 it is even
        x = torch.log1p(u * torch.expm1(eta)) / eta
        return torch.where(x_logits > 0, 1 - x, x)


def log_normaliser(logits: Tensor) -> Tensor:
    """log C(λ) of the sigmoids λ of logits η: log(η / tanh(η/2)), log 2 where η = 0."""
    half = 0.5 * logits.abs()
    near, far = _parted(half)
    square, series = near.square(), torch.zeros_like(near)
    for coefficient in SERIES_OF_LOG_C:
        series = square * (coefficient - series)
    return math.log(2) + torch.where(half < SERIES, series, far.log() - far.tanh().log())


def continuous_bernoulli_mean(logits: Tensor) -> Tensor:
    """The expectation of x: 1 / (1 − e^−η) − 1/η = ½ + ½ (coth(η/2) − 2/η), ½ where η = 0."""
    half = 0.5 * logits
    near, far = _parted(half)
    square = near.square()
    series = near * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    return 0.5 + 0.5 * torch.where(half.abs() < SERIES, series, 1 / far.tanh() - 1 / far)


def _parted(half: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into a series and into a closed form, each kept where it is well where the other is
    taken: 0/0 has no gradient, and what overflows none that is a number."""
    is_near = half.abs() < SERIES
    return half.masked_fill(~is_near, 0.0), half.masked_fill(is_near, SERIES)
