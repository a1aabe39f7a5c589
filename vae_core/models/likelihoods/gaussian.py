"""Squared errors: one σ for all, the one that the errors have, or one for every pixel."""

from __future__ import annotations

import math

from torch import Generator, Tensor
from torch.nn import functional

from vae_core.config import ModelConfig
from vae_core.losses import gaussian_log_density, gaussian_nll, optimal_variance
from vae_core.losses.conventions import GAUSSIAN
from vae_core.models.likelihoods.likelihood import Located, RunningVariance, likelihoods
from vae_core.shares import normal_like


@likelihoods.register(
    "gaussian",
    label="Gaussian, fixed σ",
    blurb="Squared error divided by 2σ²; you choose how exact pixels have to be.",
    order=30,
)
class Gaussian(Located):
    """N(mean, σ²) with one σ on the [0, 1] scale."""

    is_density = True
    error = GAUSSIAN
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

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return gaussian_nll(self.mean(x_logits), x, self.sigma**2, mask)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return mean + self.sigma * normal_like(mean, generator)


def fixed_sigma(sigma: float) -> str:
    """Why nats under a σ that somebody chose say little beside others."""
    return (
        f"σ is fixed at {sigma:.3g}, so the ELBO tells how well that was chosen, and only "
        "runs with the same σ compare by it. Squared error and KL do."
    )


@likelihoods.register(
    "gaussian-optimal",
    label="Gaussian, optimal σ",
    blurb="σ is computed from the error itself, so β = 1 is right without tuning; for colour.",
    paper="Rybkin, Daniilidis and Levine (2021)",
    order=31,
)
class OptimalGaussian(RunningVariance):
    """σ-VAE: σ² is the mean squared error."""

    is_density = True
    error = GAUSSIAN

    def deviation(self, mean: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        return optimal_variance(mean, x, mask)

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return gaussian_nll(mean, x, self.variance_of(mean, x, mask), mask)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return mean + self.variance.sqrt() * normal_like(mean, generator)


@likelihoods.register(
    "gaussian-pixel",
    label="Gaussian, σ for every pixel",
    blurb="The decoder also says how sure it is of every pixel; edges may be off, flat parts not.",
    paper="Kingma and Welling (2014), appendix C.2",
    order=32,
)
class PixelGaussian(Located):
    """N(mean, σ²) of every value by itself: the decoder puts out its mean and its log σ².

    Source: Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix C.2. Without a
    bound the likelihood has no maximum (Mattei and Frellsen, Leveraging the Exact Likelihood of
    Deep Latent Variable Models, 2018, proposition 1); log σ² is bounded by softplus, which leaves a
    gradient everywhere (Chua et al., Deep Reinforcement Learning in a Handful of Trials, 2018,
    appendix A.1).
    """

    is_density = True

    FLOOR, CEILING = 2 * math.log(0.001), 0.0
    """Of log σ²: σ between a quarter of a grey level and the whole range."""

    START = -4.0
    """The log σ² that 0 stands for: a decoder begins with σ = 0.135."""

    @property
    def incomparable(self) -> str:
        return (
            "σ is learned for every pixel, and where all images agree it falls to its bound of "
            "0.001: what the ELBO says then hangs on that bound, and only runs of this likelihood "
            "compare by it. Squared error and KL do."
        )

    def outputs(self, channels: int) -> int:
        return 2 * channels

    def mean(self, x_logits: Tensor) -> Tensor:
        return super().mean(x_logits.chunk(2, 1)[0])

    def logvar(self, x_logits: Tensor) -> Tensor:
        """log σ² of every value, [B, C, H, W]."""
        raw = x_logits.chunk(2, 1)[1] + self.START
        below = self.CEILING - functional.softplus(self.CEILING - raw)
        return self.FLOOR + functional.softplus(below - self.FLOOR)

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        return -gaussian_log_density(x, self.mean(x_logits), self.logvar(x_logits))

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        mean = self.mean(x_logits)
        return mean + (0.5 * self.logvar(x_logits)).exp() * normal_like(mean, generator)
