"""Bounds on log p(x) from several draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def importance_bound(log_w: Tensor) -> Tensor:
    """log 1/k Σ w of importance weights w = p(x, z)/q(z|x): log w [k, B] → nats, [B].

    With k = 1 it is a draw of the ELBO; it rises with k towards log p(x).

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders (2016), equation 8.
    """
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def effective_draws(log_w: Tensor) -> Tensor:
    """(Σ w)² / Σ w²: as how many of k draws they count, from 1 to k, [B]."""
    return (2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0)).exp()
