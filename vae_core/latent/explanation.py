"""Why an image costs what it costs: where in the picture, and in which latent dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vae_core.data.batches import as_floats
from vae_core.imaging.png import to_bytes
from vae_core.imaging.resize import shown
from vae_core.models import LatentModel


@dataclass(frozen=True)
class Explanation:
    """What N images cost, place by place, at the mode of their posterior.

    reconstruction: as it is shown, uint8 [N, 1 or 3, H, W].
    loss: −log p(x|z) of every pixel, summed over its channels, in nats, float32 [N, H, W].
    kl: of every latent dimension in nats, float32 [N, D]; None where there is no closed form.
    """

    reconstruction: np.ndarray
    loss: np.ndarray
    kl: np.ndarray | None


@torch.inference_mode()
def explain(
    model: LatentModel,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    mask: Tensor | None = None,
) -> Explanation:
    """Encode images uint8 [N, C, H, W], decode them, and say what they cost where: nothing where
    `mask` [N, 1, H, W] is 0.

    Pixels are independent given z under every likelihood, so an image's cost is the sum of theirs;
    the channels of one need not be.
    """
    was_training = model.training
    model.eval()
    x = as_floats(images, model.device)
    told = model if labels is None else model.conditioned(torch.from_numpy(labels))
    posterior = told.encode(x)
    x_logits = told.decode(posterior.mode())
    # Each pixel as an image of its own: the likelihood then gives its cost alone.
    pixels = (each.movedim(1, 3).flatten(0, 2)[..., None, None] for each in (x_logits, x))
    loss = model.likelihood.nll(*pixels).unflatten(0, (len(x), *x.shape[2:]))
    loss = loss if mask is None else loss * mask[:, 0]
    kl = posterior.kl(model.prior())
    model.train(was_training)
    return Explanation(
        to_bytes(shown(model.picture(x_logits), model.shown_channels)),
        loss.float().cpu().numpy(),
        None if kl is None else kl.float().cpu().numpy(),
    )
