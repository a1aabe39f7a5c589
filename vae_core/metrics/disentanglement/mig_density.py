"""The mutual information gap of the posteriors themselves, without bins."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vae_core.data import Progress, no_progress
from vae_core.losses import gaussian_log_density
from vae_core.metrics.disentanglement.factors import varied
from vae_core.metrics.disentanglement.information import entropy
from vae_core.metrics.disentanglement.mig import gaps

PAIRS_AT_ONCE = 1 << 21
"""Draws times posteriors whose densities are in memory: 8 MB."""


def density_gaps(
    mu: np.ndarray,
    logvar: np.ndarray,
    draws: np.ndarray,
    factors: np.ndarray,
    progress: Progress = no_progress,
) -> np.ndarray:
    """The gap of each factor that varies, [≤ F], of what a draw from the posterior tells: MIG as it
    was defined, which is their mean.

    I(z_j; v_k) = H(z_j) − H(z_j | v_k), where q(z_j) is the mixture of the posteriors of all images
    and q(z_j | v) that of the images with this value. mu, logvar and draws, one of each posterior,
    are [N, L], of posteriors whose dimensions are Gaussian; factors are int64 [N, F].

    Source: Chen et al., Isolating Sources of Disentanglement in VAEs (2018), equation 6 and
    appendix B.
    """
    factors = factors[:, varied(factors)]
    told = np.zeros((mu.shape[1], factors.shape[1]))
    for j in range(len(told)):
        progress("MIG of the densities", j / len(told))
        z, m, s = (torch.from_numpy(np.ascontiguousarray(a[:, j])) for a in (draws, mu, logvar))
        whole = mixture_entropy(z, m, s)
        for k, v in enumerate(factors.T):
            told[j, k] = whole - _entropy_given(z, m, s, v)
    return gaps(told.clip(min=0.0)) / np.array([entropy(v) for v in factors.T])


def _entropy_given(z: Tensor, mu: Tensor, logvar: Tensor, v: np.ndarray) -> float:
    """H(z | v) in nats of one latent [N]."""
    order = torch.from_numpy(np.argsort(v, kind="stable"))
    sizes = np.unique(v, return_counts=True)[1]
    split = zip(*(a[order].split(sizes.tolist()) for a in (z, mu, logvar)), strict=True)
    return sum(len(rows[0]) * mixture_entropy(*rows) for rows in split) / len(v)


def mixture_entropy(z: Tensor, mu: Tensor, logvar: Tensor) -> float:
    """H in nats of a mixture of Gaussians, of which mu, logvar and a draw of each are [N].

    −log q(z) is averaged over the draws. With the component that a draw came from q(z) is too
    large, by as much as it is too small without it, to the first order in 1/N: the mean of both is
    taken. A single component is not left out.

    Source: Hall and Morton, On the Estimation of Entropy (1993), for what leaving out does.
    """
    n, own = len(z), gaussian_log_density(z, mu, logvar)
    if n == 1:
        return float(-own.mean())
    others = torch.empty_like(z)
    for rows in torch.arange(n).split(max(1, PAIRS_AT_ONCE // n)):
        each = gaussian_log_density(z[rows, None], mu, logvar)
        each[torch.arange(len(rows)), rows] = -math.inf
        others[rows] = torch.logsumexp(each, 1)
    with_own = torch.logaddexp(others, own) - math.log(n)
    return float(-0.5 * (with_own + others - math.log(n - 1)).double().mean())
