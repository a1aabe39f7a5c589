"""The mean KL taken apart: how much codes tell of the images, how much dimensions tell of each
other, and how far each of them is from its prior.

E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)), and for a prior of independent dimensions the
latter is total correlation + Σ_d KL(q(z_d) ‖ p(z_d)), where q(z) = 1/N Σ q(z|xₙ).

Source: Hoffman and Johnson, ELBO surgery (2016), section 2; Chen, Li, Grosse and Duvenaud,
Isolating Sources of Disentanglement in VAEs (2018), equation 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from vae_core.data import Progress, no_progress
from vae_core.data.batches import labelled
from vae_core.data.dataset import ImageSet
from vae_core.losses.minibatch import ESTIMATORS
from vae_core.models import GaussianMixture, LatentModel, TractablePosterior

Estimator = Literal["full", "stratified", "weighted"]

BATCH = 256
"""Posteriors in a block, and images in a minibatch of the estimators that take one."""

IMAGES, DRAWS = 10_000, 2_000
WORK = 2 * 10**9
"""Numbers that are looked at, draws × images × dimensions: 10 to 20 s of one core. Where there are
so many latents that it would be more, there are fewer of both."""

AT_ONCE = 1 << 22
"""Numbers of these in memory at a time: 16 MB."""

MOST_HELD = 256 * 10**6


@dataclass(frozen=True)
class Estimate:
    """value: in nats, mean over draws. se: its standard error. low, high: what lies between them,
    on average, is the value for all images that there could be, of which these are a sample; None
    where that is not known."""

    value: float
    se: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Decomposition:
    """The parts of the rate over N images, in nats.

    images: N. draws: of z, one of each of so many images. dims: of z, D. batch: posteriors that
        q(z) was made of at a draw.
    rate: KL(q(z|x) ‖ p(z)), mean over images, from the same draws, so that the parts add up.
    mutual_information: I(x; z), of which of the N images it was: never more than log N.
    marginal_kl: KL(q(z) ‖ p(z)).
    total_correlation, dimension_wise_kl: KL(q(z) ‖ Π q(z_d)) and Σ_d KL(q(z_d) ‖ p(z_d)); None
        where q(z_d|x) has no closed form.
    information_per_dim, kl_per_dim: I(x; z_d) and KL(q(z_d) ‖ p(z_d)), float64 [D]; None likewise.
    """

    estimator: Estimator
    images: int
    draws: int
    dims: int
    batch: int
    rate: Estimate
    mutual_information: Estimate
    marginal_kl: Estimate
    total_correlation: Estimate | None
    dimension_wise_kl: Estimate | None
    information_per_dim: np.ndarray | None
    kl_per_dim: np.ndarray | None


@torch.inference_mode()
def posteriors(
    model: LatentModel, part: ImageSet, progress: Progress = no_progress
) -> list[TractablePosterior] | None:
    """q(z|x) of all images of a part, in blocks, by a model in evaluation mode; of the coarsest
    level where finer ones depend on it. None where codes are points. Where they are so large that
    `MOST_HELD` bytes do not hold them, as full covariances of many dimensions, of the first images.
    """
    blocks, done, held = [], 0, 0
    for x, labels in labelled(part, BATCH, model.device):
        found = model.conditioned(labels).encode(x).of_image()
        if not isinstance(found, TractablePosterior):
            return None
        blocks.append(found)
        held += sum(each.nbytes for each in vars(found).values() if isinstance(each, Tensor))
        if held > MOST_HELD:
            break
        done += len(x)
        progress("Encoding the images", done / len(part))
    return blocks


def affordable(images: int, dims: int) -> tuple[int, int]:
    """(images, draws) that are looked at where there are so many."""
    n, draws = min(images, IMAGES), min(images, DRAWS)
    share = min(1.0, math.sqrt(WORK / (n * draws * dims)))
    return max(2, int(n * share)), max(2, int(draws * share))


@torch.inference_mode()
def decompose(
    blocks: Sequence[TractablePosterior],
    prior: GaussianMixture | None,
    draws: int = DRAWS,
    estimator: Estimator = "full",
    images: int | None = None,
    generator: Generator | None = None,
    progress: Progress = no_progress,
) -> Decomposition:
    """The parts of the rate, by the posteriors of N images in blocks [≤ `BATCH`] in random order.

    full: q(z) is the mixture of all N posteriors, exact at every draw; memory holds a block of it.
        Its I(x; z) is of these N images. That of all images is no less on average, and no more than
        with the draw's own posterior left out of the mixture, nor than the rate: Poole et al., On
        Variational Bounds of Mutual Information (2019), section 2. What q(z) is too large or too
        small by makes the range of the other parts, too.
    stratified, weighted: as β-TCVAE trains by, q(z) from the block that a draw came from, for a
        data set of `images`: Chen et al. (2018), appendix C. The former is unbiased for q(z), not
        for its logarithm. The latter makes each density too small by up to log N, so that I(x; z)
        comes out too large by as much, total correlation by (D − 1) log N, and dimension-wise KL
        too small by D log N.

    The standard error is the deviation of what each draw says over √draws. A change of q(z) with
    the images leaves these averages as they are to the first order, so it holds for the images
    that there could be.

    Args:
        prior: p(z); None is N(0, I).
        images: of the data set that a minibatch stands for; N, unless said.
    """
    sampled = [block.sample(generator) for block in blocks]
    n, dims = sum(map(len, sampled)), sampled[0][0].numel()
    p = (prior or GaussianMixture.standard_normal(dims, sampled[0].device)).first(dims)
    own, drawn = _own(blocks, sampled), torch.cat(sampled)
    if estimator == "full":
        draws = min(draws, n)
        own, drawn = own.first(draws), drawn[:draws]
        others = _all_others(blocks, drawn, progress)
        with_own, others = others.plus(own).over(n), others.over(n - 1)
    else:
        with_own, others = _within_blocks(blocks, sampled, estimator, max(n, images or n)), None
    some = drawn.flatten(1).split(BATCH)  # every point meets every component
    log_p = torch.cat([p.log_prob(z) for z in some])
    rate = own.joint - log_p
    found = _joint_parts(rate, own, with_own, others, log_p)
    single: dict[str, Any] = dict.fromkeys(
        ("total_correlation", "dimension_wise_kl", "information_per_dim", "kl_per_dim")
    )
    if own.single is not None:
        log_p = torch.cat([p.marginal_log_prob(z) for z in some])
        single |= _single_parts(own, with_own, others, log_p)
    batch = n if estimator == "full" else len(sampled[0])
    return Decomposition(estimator, n, len(drawn), dims, batch, _mean(rate), **{**found, **single})


@dataclass
class Densities:
    """log densities at n draws: joint [n], and of every dimension by itself [n, D] or None."""

    joint: Tensor
    single: Tensor | None

    def plus(self, other: Densities) -> Densities:
        """log of the sum of both."""
        joint = torch.logaddexp(self.joint, other.joint)
        if self.single is None or other.single is None:
            return Densities(joint, None)
        return Densities(joint, torch.logaddexp(self.single, other.single))

    def first(self, n: int) -> Densities:
        """At the first n draws."""
        return Densities(self.joint[:n], None if self.single is None else self.single[:n])

    def over(self, count: int) -> Densities:
        """log of a `count`-th."""
        shift = math.log(count)
        return Densities(self.joint - shift, None if self.single is None else self.single - shift)


def _own(blocks: Sequence[TractablePosterior], sampled: Sequence[Tensor]) -> Densities:
    """log q(z|x) of every draw under the posterior that it came from."""
    found = [block.log_densities(z[None]) for block, z in zip(blocks, sampled, strict=True)]
    return _all([Densities(joint[0], None if d is None else d[0]) for joint, d in found])


def _all_others(
    blocks: Sequence[TractablePosterior], drawn: Tensor, progress: Progress
) -> Densities:
    """At draws z [n, *latent_shape], the i-th of image i: log Σ q(z|x) over all images but i."""
    parts, chunk = [], max(1, AT_ONCE // (BATCH * drawn[0].numel()))
    for start in range(0, len(drawn), chunk):
        z = drawn[start : start + chunk]
        whose = torch.arange(start, start + len(z), device=z.device)
        found, first = None, 0
        for block in blocks:
            joint, single = _pairs(block, z)
            end = first + joint.shape[1]
            if first < start + len(z) and start < end:
                own = whose[:, None] == torch.arange(first, end, device=z.device)
                joint = joint.masked_fill(own, -math.inf)
                single = None if single is None else single.masked_fill(own[..., None], -math.inf)
            here = Densities(joint.logsumexp(1), None if single is None else single.logsumexp(1))
            found, first = here if found is None else found.plus(here), end
        assert found is not None
        parts.append(found)
        progress("Taking the KL apart", (start + len(z)) / len(drawn))
    return _all(parts)


def _within_blocks(
    blocks: Sequence[TractablePosterior], sampled: Sequence[Tensor], estimator: str, images: int
) -> Densities:
    """log q(z) at the draws of each block, as the posteriors of that block tell it."""
    parts = []
    for block, z in zip(blocks, sampled, strict=True):
        joint, single = _pairs(block, z)
        weights = ESTIMATORS[estimator](len(z), images).to(joint)
        each = None if single is None else torch.logsumexp(single + weights[:, :, None], 1)
        parts.append(Densities(torch.logsumexp(joint + weights, 1), each))
    return _all(parts)


def _pairs(block: TractablePosterior, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """log densities of draws z [n, …] under each of the B posteriors of a block: [n, B], and
    [n, B, D] or None."""
    return block.log_densities(z[:, None].expand(-1, len(block.mode()), *z.shape[1:]))


def _all(parts: Sequence[Densities]) -> Densities:
    """The draws of all parts, one after the other."""
    each = [part.single for part in parts if part.single is not None]
    return Densities(torch.cat([part.joint for part in parts]), torch.cat(each) if each else None)


def _joint_parts(
    rate: Tensor, own: Densities, with_own: Densities, others: Densities | None, log_p: Tensor
) -> dict[str, Estimate]:
    told, apart = own.joint - with_own.joint, with_own.joint - log_p
    if others is None:
        return {"mutual_information": _mean(told), "marginal_kl": _mean(apart)}
    most = min(_average(own.joint - others.joint), _average(rate))
    least = max(0.0, _average(rate) - most)
    return {
        "mutual_information": _mean(told, _average(told), max(most, _average(told))),
        "marginal_kl": _mean(apart, min(least, _average(apart)), _average(apart)),
    }


def _single_parts(
    own: Densities, with_own: Densities, others: Densities | None, log_p: Tensor
) -> dict[str, Estimate | np.ndarray]:
    assert own.single is not None and with_own.single is not None
    together, apart = with_own.joint - with_own.single.sum(1), with_own.single - log_p
    parts: dict[str, Estimate | np.ndarray] = {
        "total_correlation": _mean(together),
        "dimension_wise_kl": _mean(apart.sum(1)),
        "information_per_dim": (own.single - with_own.single).cpu().double().mean(0).numpy(),
        "kl_per_dim": apart.cpu().double().mean(0).numpy(),
    }
    if others is not None and others.single is not None:
        low = _average(others.joint - with_own.single.sum(1))
        high = _average(with_own.joint - others.single.sum(1))
        parts["total_correlation"] = _mean(together, max(0.0, low), high)
        low = _average((others.single - log_p).sum(1))
        parts["dimension_wise_kl"] = _mean(apart.sum(1), max(0.0, low), _average(apart.sum(1)))
    return parts


def _average(values: Tensor) -> float:
    return float(values.cpu().double().mean())  # some devices know no doubles


def _mean(values: Tensor, low: float | None = None, high: float | None = None) -> Estimate:
    values = values.cpu().double()
    return Estimate(float(values.mean()), float(values.std() / len(values) ** 0.5), low, high)


def gaussian_total_correlation(codes: np.ndarray) -> float:
    """½ (Σ log Σ_dd − log det Σ) in nats: the total correlation of the Gaussian with the covariance
    Σ of codes [N, D], for codes of any kind. Those that never vary are left out; infinite where
    one is a mixture of others.

    Source: Locatello et al., Challenging Common Assumptions in the Unsupervised Learning of
    Disentangled Representations (2019), section 5.2; Watanabe (1960) for the term.
    """
    varying = codes[:, np.ptp(codes, axis=0) > 0].astype(np.float64)
    if varying.shape[1] < 2:
        return 0.0
    correlation = np.corrcoef(varying.T)
    sign, log_det = np.linalg.slogdet(correlation)
    return math.inf if sign <= 0 else float(max(0.0, -0.5 * log_det))
