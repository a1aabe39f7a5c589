"""The contract of every likelihood, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from vae_core.config import ModelConfig
from vae_core.losses import summed
from vae_core.registry import Entry, Registry
from vae_core.shares import mean_of_shares

likelihoods: Registry[Entry[Callable[[ModelConfig], Likelihood]]] = Registry("likelihood", Entry)

GREY, COLOUR = "bernoulli", "gaussian-optimal"
"""What "auto" stands for with one channel, and with more."""

SETTINGS = ("sigma", "mixture")
"""The settings of a model that some likelihoods take and others do not know."""


class Likelihood(nn.Module):
    """Turns logits into a picture, into nats and into draws.

    Logits are [B, `outputs(C)`, H, W] for images [B, C, H, W].
    """

    is_density = False
    """True where p(x|z) is a density over the [0, 1] scale of pixels."""

    learns_noise = False
    """True where σ comes from the training, not from the settings."""

    by_batch = False
    """True where training finds σ from a whole batch of images."""

    error = ""
    """Whose error its nats are, weighed alike everywhere: `GAUSSIAN` or `BERNOULLI` as in
    `vae_core.losses.conventions`; "" where it is another."""

    takes: tuple[str, ...] = ()
    """Which of `SETTINGS` it goes by."""

    def outputs(self, channels: int) -> int:
        """How many numbers a pixel the decoder puts out for images of so many channels."""
        return channels

    @property
    def noise(self) -> float | None:
        """σ with which images are measured, on the [0, 1] scale; None where there is none, or every
        pixel has its own."""
        return None

    @property
    def incomparable(self) -> str:
        """Why its nats say little beside those of other runs, "" where they compare."""
        return ""

    def mean(self, x_logits: Tensor) -> Tensor:
        """The expected image under p(x|z), [B, C, H, W]; may leave [0, 1] without a sigmoid."""
        raise AssertionError("a likelihood defines its mean")

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        """−log p of every value, [B, C, H, W], or of every pixel, [B, 1, H, W], in nats."""
        raise AssertionError("a likelihood defines its nats")

    def nll(self, x_logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """−log p(x|z) in nats per image, [B].

        Args:
            mask: [B, 1, H, W], 0 where a pixel does not count; None where all do.
        """
        return summed(self.nats(x_logits, x), mask)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        """One draw of x for each image, [B, C, H, W]; that of an unbounded density may leave
        [0, 1]."""
        raise AssertionError("a likelihood defines how it is drawn from")


class Located(Likelihood):
    """A distribution around one number for each value, which `model.output` keeps inside [0, 1] or
    leaves free."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pixel_mean = config.pixel_mean
        self.pixel_std = config.pixel_std
        self.squash = torch.sigmoid if config.output == "sigmoid" else self._denormalise

    def mean(self, x_logits: Tensor) -> Tensor:
        return self.squash(x_logits)

    def _denormalise(self, x_logits: Tensor) -> Tensor:
        return x_logits * self.pixel_std + self.pixel_mean


class RunningVariance(Located):
    """While training σ² is the one under which the batch is most likely; its running mean, kept
    with the weights as batch normalisation keeps its statistics, measures other images afterwards.

    Source: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated
    Decoders (2021).
    """

    learns_noise = by_batch = True

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

    def deviation(self, mean: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """What σ² is found from: a mean over all values that count, a scalar without gradient."""
        raise AssertionError("a likelihood defines what its variance is found from")

    def variance_from(self, deviation: Tensor) -> Tensor:
        """σ² of such a mean."""
        return deviation

    def variance_of(self, mean: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """σ² that measures these images, a scalar."""
        if not self.training:
            return self.variance
        seen = x.numel() if mask is None else mask.sum() * x.shape[1]
        found = mean_of_shares(self.deviation(mean, x, mask), seen)
        variance = self.variance_from(found).clamp_min(self.FLOOR)
        self.batches += 1
        # A plain average at first, an exponential one later: no bias from the start value.
        weight = self.batches.to(variance.dtype).reciprocal().clamp_min(self.MOMENTUM)
        self.variance.lerp_(variance, weight)
        return variance


def resolve_likelihood(name: str, channels: int) -> str:
    """The likelihood that `name` stands for with images of so many channels."""
    if name == "auto":
        return GREY if channels == 1 else COLOUR
    return likelihoods[name].name


def settings_of(name: str) -> tuple[str, ...]:
    """Which of `SETTINGS` the likelihood of this name goes by; none of those that "auto" stands
    for goes by any."""
    if name == "auto":
        return ()
    taken: tuple[str, ...] = getattr(likelihoods[name].build, "takes", ())
    return taken
