"""The KL taken apart: mutual information, total correlation, dimension-wise KL.

Source: Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs (2018),
equation 2; the estimators are those of its appendix C.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from vae_core.losses.density import gaussian_log_density, standard_normal_log_density

EstimatorName = Literal["weighted", "stratified"]


def decomposition(
    z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One-draw estimates whose means over images are the three parts of the mean KL.

    Args:
        z: a draw from q(z|x) for each image, [B, D].
        mu, logvar: of the posteriors, [B, D].
        log_weights: log weight [B, B] of image j's posterior (column) in the mixture that stands
            for the aggregate posterior q(z) at draw i (row).

    Returns:
        mutual information log q(z|x) − log q(z), total correlation log q(z) − Σ log q(z_d) and
        dimension-wise KL Σ log q(z_d) − log p(z), nats, [B] each; their sum is
        log q(z|x) − log p(z) whatever the weights are.
    """
    log_q = gaussian_log_density(z[:, None], mu[None], logvar[None])  # [draw, posterior, D]
    log_q_given_x = gaussian_log_density(z, mu, logvar).sum(1)
    log_q_z = torch.logsumexp(log_weights + log_q.sum(2), 1)
    log_q_product = torch.logsumexp(log_weights[:, :, None] + log_q, 1).sum(1)
    log_p = standard_normal_log_density(z).sum(1)
    return log_q_given_x - log_q_z, log_q_z - log_q_product, log_q_product - log_p


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


ESTIMATORS: dict[EstimatorName, Callable[[int, int], Tensor]] = {
    "weighted": weighted,
    "stratified": stratified,
}
"""Each makes the log weights of `decomposition` from the batch's size and the data set's."""
