"""Many latents decoded at once."""

from __future__ import annotations

import numpy as np
import torch

from vae_core.imaging.png import to_bytes
from vae_core.models import LatentModel

BATCH = 100
"""Of 32 to 400 the fastest for 20×20 pictures, small ones and large ones (`benchmarks.views`)."""


@torch.inference_mode()
def decode_vectors(
    model: LatentModel, vectors: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """The pictures of flattened latents [N, D], as they are shown: uint8 [N, 1 or 3, H, W].

    Args:
        labels: int64 [N], for a conditional model; None where they are not known.
    """
    latents = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    conditions = (
        None if labels is None else torch.from_numpy(np.ascontiguousarray(labels, np.int64))
    )
    pictures = []
    for start in range(0, len(latents), BATCH):
        part = latents[start : start + BATCH].to(model.device)
        conditioned = (
            model if conditions is None else model.conditioned(conditions[start : start + BATCH])
        )
        picture = model.picture(conditioned.decode(model.unflatten(part)))
        pictures.append(to_bytes(model.shown(picture)))
    return np.concatenate(pictures)


@torch.inference_mode()
def prior_pictures(model: LatentModel, n: int, seed: int = 0) -> np.ndarray:
    """n samples of the model's own prior, as they are shown: uint8 [n, 1 or 3, H, W]; labels, where
    it has them, in turn.

    Models that draw from the same prior over latents of the same shape get the same z.
    """
    was_training = model.training
    model.eval()
    z = model.sample_prior(n, torch.Generator(model.device).manual_seed(seed))
    if model.labels:
        model = model.conditioned(torch.arange(n, device=model.device) % model.labels)
    pictures = to_bytes(model.shown(model.picture(model.decode(z))))
    model.train(was_training)
    return pictures
