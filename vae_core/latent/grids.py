"""Many latents decoded at once."""

from __future__ import annotations

import numpy as np
import torch

from vae_core.imaging.png import to_bytes
from vae_core.models import LatentModel, evaluating

BATCH = 100
"""Of 32 to 400 the fastest for 20×20 pictures, small ones and large ones (`benchmarks.views`)."""


@torch.inference_mode()
def decode_vectors(
    model: LatentModel, vectors: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """The pictures of flattened latents [N, D], of images with these labels int64 [N] if they are
    known: uint8 [N, C, H, W]."""
    latents = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    conditioned, pictures = model, []
    for start in range(0, len(latents), BATCH):
        here = slice(start, start + BATCH)
        if labels is not None:
            told = np.ascontiguousarray(labels[here], np.int64)
            conditioned = model.conditioned(torch.from_numpy(told))
        z = model.unflatten(latents[here].to(model.device))
        pictures.append(to_bytes(model.picture(conditioned.decode(z))))
    return np.concatenate(pictures)


@torch.inference_mode()
def prior_pictures(model: LatentModel, n: int, seed: int = 0) -> np.ndarray:
    """n samples of the model's own prior, labels in turn where it has them: uint8 [n, C, H, W].
    Models that draw from the same prior over latents of the same shape get the same z."""
    with evaluating(model):
        z = model.sample_prior(n, torch.Generator(model.device).manual_seed(seed))
        if model.labels:
            model = model.conditioned(torch.arange(n, device=model.device) % model.labels)
        return to_bytes(model.picture(model.decode(z)))
