"""log p(x) of images under a model, from k weighted draws of their posteriors.

The encoder proposes, importance weights w = p(x, z)/q(z|x) correct it: their mean is p(x) whatever
q is, so the log of a mean of k of them lies below log p(x) on average, less the more there are.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8 and
theorem 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from vae_core.data.batches import (
    PIXELS_AT_ONCE,
    as_floats,
    batches_in_order,
    labels_at,
    mask_at,
)
from vae_core.data.dataset import ImageSet
from vae_core.models import LatentModel, Posterior, evaluating
from vae_core.progress import Progress, ProgressMeter, no_progress

LogPrior = Callable[[Tensor], Tensor]
"""log p(z) in nats of latents z [B, *latent_shape]: [B]. Of codes it is that of a probability."""

LEVELS = 256
"""Of a pixel of 8 bits."""

MOST_AT_ONCE = 256
"""Pictures that are decoded at once, where they are small: as many as measuring takes."""


@dataclass(frozen=True)
class Weighed:
    """What k draws say of N images, float64 [N] each.

    log_p: log 1/k Σ w in nats. elbo: the mean of log w, the bound of one draw.
    recon: the mean of −log p(x|z) in nats; −elbo − recon is the rate, of codes their length.
    effective: as how many of the k draws they count, (Σ w)²/Σ w², from 1 to k.
    values: how many numbers of an image are no padding.
    """

    log_p: np.ndarray
    elbo: np.ndarray
    recon: np.ndarray
    effective: np.ndarray
    values: np.ndarray


class Weights:
    """Importance weights of B images that come some draws at a time, of which four numbers an image
    are kept, however many come. Sums are of w/max w: floats hold w itself of no image."""

    def __init__(self) -> None:
        self.draws = 0
        self._top = self._mean = self._sum = self._squares = torch.zeros(())

    def add(self, log_w: Tensor) -> None:
        """Take in log w of some draws, [n, B]."""
        highest = log_w.amax(0)
        top = torch.maximum(self._top, highest) if self.draws else highest
        # Where no weight is above 0 yet, there is nothing to divide by.
        top = top.where(top.isfinite(), torch.zeros_like(top))
        shrunk = (self._top - top).exp() if self.draws else torch.zeros_like(top)
        w = (log_w - top).exp()
        self._sum = self._sum * shrunk + w.sum(0)
        self._squares = self._squares * shrunk.square() + w.square().sum(0)
        self.draws += len(log_w)
        new = len(log_w) / self.draws
        self._mean = self._mean * (1 - new) + log_w.mean(0) * new
        self._top = top

    def log_mean(self) -> Tensor:
        """log 1/k Σ w in nats, [B]."""
        return self._top + self._sum.log() - math.log(self.draws)

    def mean_log(self) -> Tensor:
        """1/k Σ log w in nats, [B]."""
        return self._mean

    def effective(self) -> Tensor:
        """(Σ w)²/Σ w², [B]."""
        return self._sum.square() / self._squares


def can_be_weighed(model: LatentModel) -> bool:
    """Whether the model's posteriors have draws that can be held against a prior."""
    return model.posterior.draws is not Posterior.draws


def log_weights(
    model: LatentModel,
    posterior: Posterior,
    x: Tensor,
    n: int,
    log_prior: LogPrior,
    mask: Tensor | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log w = log p(x|z) + log p(z) − log q(z|x) in nats at n draws z of each image, and of it
    −log p(x|z); [n, B] both.

    Args:
        posterior: q(z|x) of the images x [B, C, H, W], as the model made it of them.
        mask: as of `Context`.
    """
    drawn = posterior.draws(n, generator)
    assert drawn is not None, "can_be_weighed() saw to it"
    z, log_q = drawn
    z = z.flatten(0, 1)
    x = x.repeat(n, 1, 1, 1)
    mask = None if mask is None else mask.repeat(n, 1, 1, 1)
    recon = model.likelihood.nll(model.decode(z), x, mask)
    log_joint = log_prior(z) - recon
    return log_joint.unflatten(0, (n, -1)) - log_q, recon.unflatten(0, (n, -1))


def dequantised(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Images of 8 bits with each value spread over its level: (level + u)/256, u even in [0, 1).

    The mean log-density of these, over 256 for each value, is a lower bound of the log-probability
    of the levels, which that of the levels alone is not. x is level/255, [B, C, H, W].

    Source: Theis, van den Oord and Bethge, A note on the evaluation of generative models (2016),
    section 3.1.
    """
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return ((x * (LEVELS - 1)).round() + u) / LEVELS


@torch.inference_mode()
def weigh(
    model: LatentModel,
    part: ImageSet,
    k: int,
    log_prior: LogPrior,
    at_once: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Weighed:
    """k draws of each image of a part, in evaluation mode; those of one seed and one `at_once` are
    the same every time.

    The encoder sees the images as in training. Where p(x|z) is a density, what is weighed are they
    dequantised, with one u an image for all of its draws; black and white are two levels of 8 bits.

    Args:
        log_prior: p(z), see `vae_core.latent.priors`.
        at_once: draws of an image that are decoded together; without it as many as fit. Together
            with the images that are at hand they make `pictures_at_once`, or more only where
            `at_once` alone is more: memory knows neither k nor the number of images.
    """
    draws = _draws_at_once(part, k) if at_once is None else min(at_once, k)
    images = max(1, pictures_at_once(part) // draws)
    generator = torch.Generator(model.device).manual_seed(seed)
    done = 0
    meter = ProgressMeter("Weighing draws", len(part) * k, lambda: done, progress, "draws")
    found: list[Tensor] = []
    with evaluating(model):
        for indices in batches_in_order(part.images.shape, images):
            shown = as_floats(part.images.gather(indices), model.device)
            labels, mask = (find(part, indices, model.device) for find in (labels_at, mask_at))
            x = dequantised(shown, generator) if model.likelihood.is_density else shown
            here = model.conditioned(labels)
            posterior, weights = here.encode(shown), Weights()
            recon = torch.zeros_like(x[:, 0, 0, 0])
            while weights.draws < k:
                n = min(draws, k - weights.draws)
                log_w, nll = log_weights(here, posterior, x, n, log_prior, mask, generator)
                weights.add(log_w)
                recon += nll.sum(0) / k
                done += n * len(x)
                meter.update()
            values = x.new_full((len(x),), x[0].numel())
            if mask is not None:
                values = mask.flatten(1).sum(1) * x.shape[1]
            bounds = weights.log_mean(), weights.mean_log()
            found.append(torch.stack([*bounds, recon, weights.effective(), values]).cpu())
    return Weighed(*torch.cat(found, 1).double().numpy())


def pictures_at_once(part: ImageSet) -> int:
    """How many pictures of this size are decoded together, images × draws."""
    _, _, height, width = part.images.shape
    return max(1, min(MOST_AT_ONCE, PIXELS_AT_ONCE // (height * width)))


def _draws_at_once(part: ImageSet, k: int) -> int:
    """One where there are images enough: each is then encoded once, and so is its batch."""
    return max(1, min(k, pictures_at_once(part) // max(1, len(part))))
