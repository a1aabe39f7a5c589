"""p(x|z): what the decoder's logits mean. The likelihood owns the output's activation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vae_core.config import ModelConfig
from vae_core.losses import bernoulli_nll, gaussian_nll, optimal_variance
from vae_core.registry import Entry, Registry
from vae_core.shares import mean_of_shares

likelihoods: Registry[Entry[Callable[[ModelConfig], Likelihood]]] = Registry("likelihood", Entry)

GREY, COLOUR = "bernoulli", "gaussian-optimal"
"""What "auto" stands for with one channel, and with more."""


class Likelihood(nn.Module):
    """Turns logits into a picture and into nats."""

    is_density = False
    """True where p(x|z) is a density over the [0, 1] scale of pixels."""

    learns_noise = False
    """True where σ comes from the training, not from the settings."""

    @property
    def noise(self) -> float | None:
        """σ with which images are measured, on the [0, 1] scale; None where there is none."""
        return None

    @property
    def incomparable(self) -> str:
        """Why its nats say little beside those of other runs, "" where they compare."""
        return ""

    def mean(self, x_logits: Tensor) -> Tensor:
        """The expected image under p(x|z), [B, C, H, W]; may leave [0, 1] without a sigmoid."""
        raise AssertionError("a likelihood defines its mean")

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """−log p(x|z) in nats per image, [B].

        Args:
            mask: [B, 1, H, W], 0 where a pixel does not count; None where all do.
        """
        raise AssertionError("a likelihood defines its nll")


@likelihoods.register(
    "bernoulli",
    label="Bernoulli",
    blurb="Each grey value is the chance of a white pixel; right for ink on paper.",
)
class Bernoulli(Likelihood):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def mean(self, x_logits: Tensor) -> Tensor:
        return torch.sigmoid(x_logits)

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return bernoulli_nll(x_logits, x, mask)


@likelihoods.register(
    "gaussian",
    label="Gaussian, fixed σ",
    blurb="Squared error divided by 2σ²; you choose how exact pixels have to be.",
)
class Gaussian(Likelihood):
    """N(mean, σ²) with one σ on the [0, 1] scale."""

    is_density = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.sigma = config.sigma
        self.pixel_mean = config.pixel_mean
        self.pixel_std = config.pixel_std
        self.squash = torch.sigmoid if config.output == "sigmoid" else self._denormalise

    @property
    def noise(self) -> float | None:
        return float(self.sigma)

    @property
    def incomparable(self) -> str:
        return (
            f"σ is fixed at {self.sigma:.3g}, so the ELBO tells how well that was chosen, and only "
            "runs with the same σ compare by it. Squared error and KL do."
        )

    def mean(self, x_logits: Tensor) -> Tensor:
        return self.squash(x_logits)

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return gaussian_nll(self.mean(x_logits), x, self.sigma**2, mask)

    def _denormalise(self, x_logits: Tensor) -> Tensor:
        return x_logits * self.pixel_std + self.pixel_mean


@likelihoods.register(
    "gaussian-optimal",
    label="Gaussian, optimal σ",
    blurb="σ is computed from the error itself, so β = 1 is right without tuning; for colour.",
    paper="Rybkin, Daniilidis and Levine (2021)",
)
class OptimalGaussian(Gaussian):
    """σ-VAE: while training σ² is the batch's mean squared error; its running mean, kept with the
    weights as batch normalisation keeps its statistics, measures other images afterwards."""

    learns_noise = True

    MOMENTUM = 0.1
    FLOOR = 1e-6  # σ = 0.001, a quarter of a grey level: keeps a perfect copy from −∞ nats

    variance: Tensor
    batches: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.register_buffer("variance", torch.tensor(1.0))
        self.register_buffer("batches", torch.tensor(0, dtype=torch.int64))

    @property
    def noise(self) -> float | None:
        return float(self.variance) ** 0.5

    @property
    def incomparable(self) -> str:
        return ""

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        mean = self.mean(x_logits)
        if not self.training:
            return gaussian_nll(mean, x, self.variance, mask)
        seen = x.numel() if mask is None else mask.sum() * x.shape[1]
        variance = mean_of_shares(optimal_variance(mean, x, mask), seen).clamp_min(self.FLOOR)
        self.batches += 1
        # A plain average at first, an exponential one later: no bias from the start value.
        weight = self.batches.to(variance.dtype).reciprocal().clamp_min(self.MOMENTUM)
        self.variance.lerp_(variance, weight)
        return gaussian_nll(mean, x, variance, mask)


def resolve_likelihood(name: str, channels: int) -> str:
    """The likelihood that `name` stands for with images of so many channels."""
    if name == "auto":
        return GREY if channels == 1 else COLOUR
    return likelihoods[name].name


likelihoods.discover(__name__, plugins="vae_core.likelihoods")
