"""The 256 levels of 8-bit pixels as they are: each has the probability that a logistic
distribution, or a mixture of some, has between the levels beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vae_core.config import MOST_CHANNELS, ModelConfig
from vae_core.models.likelihoods.likelihood import Likelihood, Located, likelihoods
from vae_core.shares import uniform_like

LEVELS = 256
STEP = 1 / (LEVELS - 1)
"""From one level to the next, on the [0, 1] scale."""

LEAST_LOG_SCALE, MOST_LOG_SCALE = -7.0 - math.log(2), 7.0
"""Of s on the [0, 1] scale. The lower one is that of Salimans et al., whose scale is twice as wide;
by the upper one all levels have long become equally likely but the ends."""


@likelihoods.register(
    "discretised-logistic",
    label="Discretised logistic",
    blurb="A probability for each of the 256 levels of a pixel, one learned width for all.",
    paper="Kingma et al. (2016)",
    order=50,
)
class DiscretisedLogistic(Located):
    """A logistic distribution around each mean, cut into levels, with one scale s that is trained.

    Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow (2016),
    of its models of CIFAR-10.
    """

    learns_noise = True

    START = 0.05

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(self.START)))

    @property
    def noise(self) -> float | None:
        return float(self._bounded.detach().exp()) * math.pi / math.sqrt(3)

    @property
    def _bounded(self) -> Tensor:
        return self.log_scale.clamp(LEAST_LOG_SCALE, MOST_LOG_SCALE)

    def mean(self, x_logits: Tensor) -> Tensor:
        return level_mean(super().mean(x_logits), self._bounded)

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        return -level_log_probability(x, super().mean(x_logits), self._bounded)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        middle = super().mean(x_logits)
        return level_drawn(middle, self._bounded, uniform_like(middle, generator))


@likelihoods.register(
    "logistic-mixture",
    label="Mixture of discretised logistics",
    blurb="Several logistics for every pixel, colours bound to each other: sharp, and the slowest.",
    paper="Salimans et al. (2017), sections 2.1 and 2.2",
    order=51,
)
class LogisticMixture(Likelihood):
    """K discretised logistics for every pixel, chosen for all of its channels together; the mean of
    a channel moves with the values of those before it.

    Source: Salimans et al., PixelCNN++ (2017), equations 1 to 3, for any number of channels.
    """

    takes = ("mixture",)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.components = config.mixture

    def outputs(self, channels: int) -> int:
        """Of each component its weight, means, scales, and one coefficient for each pair of
        channels."""
        return self.components * (1 + 2 * channels + channels * (channels - 1) // 2)

    def mean(self, x_logits: Tensor) -> Tensor:
        """The expectation; of a channel that hangs on others, with theirs in their place, which is
        exact as long as no component reaches the ends of the scale."""
        parts = self._parts(x_logits)
        found: list[Tensor] = []
        for channel in range(parts.channels):
            middle = parts.middle(channel, found)
            found.append(level_mean(middle, parts.log_scale[:, :, channel]))
        weights = parts.log_weights.exp()
        return torch.stack([(weights * each).sum(1) for each in found], 1)

    def nats(self, x_logits: Tensor, x: Tensor) -> Tensor:
        parts = self._parts(x_logits)
        values = list(x.unsqueeze(1).unbind(2))  # [B, 1, H, W] each
        log_p = parts.log_weights
        for channel, value in enumerate(values):
            middle = parts.middle(channel, values[:channel])
            scale = parts.log_scale[:, :, channel]
            log_p = log_p + level_log_probability(value, middle, scale)
        return -log_p.logsumexp(1, keepdim=True)

    def sample(self, x_logits: Tensor, generator: Generator | None = None) -> Tensor:
        parts = self._parts(x_logits)
        # The largest of log-weights with Gumbel noise is a draw of the component.
        chance = uniform_like(parts.log_weights, generator)
        gumbel = -(-chance.clamp_min(torch.finfo(chance.dtype).tiny).log()).log()
        parts = parts.only((parts.log_weights + gumbel).argmax(1, keepdim=True))
        values: list[Tensor] = []
        for channel in range(parts.channels):
            middle = parts.middle(channel, values)
            noise = uniform_like(middle, generator)
            values.append(level_drawn(middle, parts.log_scale[:, :, channel], noise))
        return torch.cat(values, 1)

    def _parts(self, x_logits: Tensor) -> Parts:
        count = x_logits.shape[1]
        c = next(c for c in range(1, MOST_CHANNELS + 1) if self.outputs(c) == count)
        each = x_logits.unflatten(1, (self.components, -1))
        weights, middle, scale, slope = each.split((1, c, c, c * (c - 1) // 2), 2)
        return Parts(
            weights.squeeze(2).log_softmax(1),
            0.5 + 0.5 * middle,
            (scale - math.log(2)).clamp(LEAST_LOG_SCALE, MOST_LOG_SCALE),
            slope.tanh(),
        )


@dataclass(frozen=True)
class Parts:
    """What the logits of a mixture of K components hold, on the [0, 1] scale of pixels; in the
    paper it is [−1, 1].

    log_weights: [B, K, H, W]. middles and log_scale: [B, K, C, H, W]. slopes: [B, K, C(C−1)/2, H,
    W], how far the middle of a channel moves with those before it: of the second with the first,
    of the third with the first and the second, and so on.
    """

    log_weights: Tensor
    middles: Tensor
    log_scale: Tensor
    slopes: Tensor

    @property
    def channels(self) -> int:
        return self.middles.shape[2]

    def middle(self, channel: int, before: list[Tensor]) -> Tensor:
        """That of each component, [B, K, H, W], given the channels before it, [B, 1 or K, H, W]
        each."""
        first = channel * (channel - 1) // 2
        middle = self.middles[:, :, channel]
        for i, value in enumerate(before):
            middle = middle + self.slopes[:, :, first + i] * (value - 0.5)
        return middle

    def only(self, chosen: Tensor) -> Parts:
        """The one component of each pixel that `chosen` [B, 1, H, W] names."""

        def taken(each: Tensor) -> Tensor:
            shape = (-1, -1, each.shape[2], -1, -1)
            return each.gather(1, chosen.unsqueeze(2).expand(shape))

        return Parts(
            self.log_weights.gather(1, chosen),
            *map(taken, (self.middles, self.log_scale, self.slopes)),
        )


def level_log_probability(x: Tensor, middle: Tensor, log_scale: Tensor) -> Tensor:
    """log P of levels x in {0, 1/255, …, 1}: what the logistic distribution of this middle and
    scale has within half a step of each, and, of the first and the last, all that lies beyond. The
    shapes broadcast.

    With u and l the ends of a level in units of the scale, σ(u) − σ(l) is
    σ(u) · σ(−l) · (1 − e^(l−u)), whose logarithm loses nothing in either tail.

    Source: Salimans et al. (2017), equation 2.
    """
    inverse = (-log_scale).exp()
    upper = (x - middle + 0.5 * STEP) * inverse
    lower = (x - middle - 0.5 * STEP) * inverse
    width = torch.log(-torch.expm1(-STEP * inverse))
    first, last = x < 0.5 * STEP, x > 1 - 0.5 * STEP
    # An end that is open lies at infinity, where each of its factors is 1.
    return (
        functional.logsigmoid(upper).masked_fill(last, 0.0)
        + functional.logsigmoid(-lower).masked_fill(first, 0.0)
        + torch.where(first | last, torch.zeros_like(width), width)
    )


def level_mean(middle: Tensor, log_scale: Tensor) -> Tensor:
    """The expectation of the levels: of the logistic distribution with what lies beyond the ends at
    the ends, ∫₀¹ (1 − F(t)) dt in closed form. That of the levels themselves is the midpoint rule
    for it, which differs by less than a tenth of a step unless s is below a third of one, and by
    less than half a step ever."""
    scale = log_scale.exp()
    return scale * (functional.softplus(middle / scale) - functional.softplus((middle - 1) / scale))


def level_drawn(middle: Tensor, log_scale: Tensor, u: Tensor) -> Tensor:
    """Levels by the inverse of the distribution function at u, evenly from [0, 1)."""
    u = u.clamp(1e-6, 1 - 1e-6)
    value = middle + log_scale.exp() * torch.logit(u)
    return (value.clamp(0, 1) * (LEVELS - 1)).round() / (LEVELS - 1)
