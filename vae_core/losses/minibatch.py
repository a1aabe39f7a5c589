"""q(z) = 1/N Σ q(z|xₙ) from the posteriors of one batch: the weight of each in the mixture."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def weighted(batch: int, images: int) -> Tensor:
    """Minibatch-weighted sampling: log 1/(N·M) for each of M in the batch, N images, [M, M].

    Source: Chen et al. (2018), appendix C. It is a lower bound, and biased by about log N.
    """
    return torch.full((batch, batch), -math.log(images * batch))


def stratified(batch: int, images: int) -> Tensor:
    """Minibatch-stratified sampling: weights of an unbiased estimate of q(z), their log, [B, B].

    With M = B − 1 others beside the image that z came from: 1/N for that one, 1/M for all others
    but one, and (N − M)/(N·M) for that one. A batch of a single image stands for itself.

    Source: Chen et al. (2018), appendix C.
    """
    others = batch - 1
    if others == 0:
        return torch.zeros(1, 1)
    weights = torch.full((batch, batch), 1.0 / others)
    own = torch.arange(batch)
    weights[own, own] = 1.0 / images
    weights[own, (own + 1) % batch] = (images - others) / (images * others)
    return weights.log()


ESTIMATORS = {"weighted": weighted, "stratified": stratified}
"""Each makes log weights, of draws (rows) and posteriors (columns), from the sizes of the batch and
of the data set."""
