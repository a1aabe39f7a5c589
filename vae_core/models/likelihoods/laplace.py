"""Absolute errors: Laplace distributions of one scale, or of the scale that the errors have."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from vae_core.config import ModelConfig
from vae_core.losses import summed
from vae_core.models.likelihoods.gaussian import fixed_sigma
from vae_core.models.likelihoods.likelihood import Located, RunningVariance, likelihoods
from vae_core.shares import uniform_like


@likelihoods.register(
    "laplace",
    label="Laplace, fixed σ",
    blurb="Absolute error in place of squared: a few pixels that are far off cost less.",
    order=40,
)
class Laplace(Located):
    """Laplace(mean, b), b = σ/√2 of one standard deviation σ on the [0, 1] scale."""

    is_density = True
    takes = ("sigma",)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.sigma = config.sigma

    @property
    def noise(self) -> float | None:
        return float(self.sigma)

    @property
    def incomparable(self) -> str:
        return fixed_sigma(self.sigma)

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        scale = self.sigma / math.sqrt(2)
        return (x - self.mean(x_logits)).abs() / scale + math.log(2 * scale)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return mean + self.sigma * _unit_laplace(mean, generator)


@likelihoods.register(
    "laplace-optimal",
    label="Laplace, optimal σ",
    blurb="Absolute error, its scale computed from the error itself, as of the optimal Gaussian.",
    paper="Rybkin, Daniilidis and Levine (2021), for absolute errors",
    order=41,
)
class OptimalLaplace(RunningVariance):
    """Laplace(mean, b) with the b under which the errors are most likely, their mean absolute
    value; σ² = 2b²."""

    is_density = True

    def deviation(self, mean: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        errors = (x - mean).detach().abs()
        if mask is None:
            return errors.mean()
        return (errors * mask).sum() / (mask.sum() * errors.shape[1]).clamp_min(1)

    def variance_from(self, deviation: Tensor) -> Tensor:
        return 2 * deviation.square()

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        mean = self.mean(x_logits)
        scale = (0.5 * self.variance_of(mean, x, mask)).sqrt()
        return summed((x - mean).abs() / scale + (2 * scale).log(), mask)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return mean + self.variance.sqrt() * _unit_laplace(mean, generator)


def _unit_laplace(like: Tensor, generator: Generator | None) -> Tensor:
    """Draws of mean 0 and standard deviation 1, of the shape of `like`, by the inverse of the
    distribution function."""
    u = uniform_like(like, generator) - 0.5
    tail = (1 - 2 * u.abs()).clamp_min(torch.finfo(u.dtype).tiny)  # u = −½ would be infinite
    return -u.sign() * tail.log() / math.sqrt(2)
