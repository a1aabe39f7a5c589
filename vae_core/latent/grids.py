"""Where to decode, planes through the latent space, traversals, samples; and many latents decoded
at once."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import torch

from vae_core.imaging.png import to_bytes
from vae_core.imaging.resize import shown
from vae_core.models import LatentModel, evaluating

MOST_A_SIDE = 40
SPREAD_BATCH = 32


def even_values(n: int, reach: float) -> np.ndarray:
    """n ≥ 2 steps from −reach to reach: float32 [n]."""
    return np.linspace(-reach, reach, n, dtype=np.float32)


def quantile_values(n: int) -> np.ndarray:
    """n steps that cut the prior N(0, 1) into equal shares: Φ⁻¹((i + ½) / n), float32 [n].

    Every cell of a grid then stands for the same share of what the prior draws.

    Source: Kingma and Welling (2014), appendix A (figure 4).
    """
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)], np.float32)


def plane_vectors(
    center: np.ndarray, first: np.ndarray, second: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Points of a plane: `center + a·first + b·second`, float32 [n, n, D], for all a and b among
    `values` [n]; a grows to the right, b upwards, as on paper: row 0 has the largest."""
    across = values[None, :, None] * first
    upwards = values[::-1, None, None] * second
    return (center + across + upwards).astype(np.float32)


def traversal_vectors(base: np.ndarray, vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One row for each of the directions `vectors` [K, D]: base [D] moved by each of its steps,
    `values` [K, T], along it; float32 [K, T, D]."""
    return (base + values[:, :, None] * vectors[:, None, :]).astype(np.float32)


def dimension_values(base: np.ndarray, order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Steps that bring dimension `order` [K] of base [D] to each of `values` [T], wherever the base
    lies: [K, T]."""
    return values[None, :] - base[order][:, None]


@torch.inference_mode()
def posterior_spread(model: LatentModel, x: torch.Tensor, draws: int = 64) -> np.ndarray:
    """What stays uncertain of one image x [1, C, H, W] once it is encoded: the standard deviation
    of its pixels over `draws` samples of the posterior, as they are shown, float32 [1 or 3, H, W]
    on the [0, 1] scale; 0 for deterministic codes."""
    generator = torch.Generator(model.device).manual_seed(0)
    total = squares = torch.zeros((), dtype=torch.float64)
    for start in range(0, draws, SPREAD_BATCH):
        repeated = x.expand(min(SPREAD_BATCH, draws - start), -1, -1, -1)
        z = model.encode(repeated).sample(generator)
        pictures = _shown(model, model.decode(z)).cpu().double()
        total = total + pictures.sum(0)
        squares = squares + pictures.square().sum(0)
    variance = squares / draws - (total / draws).square()
    return variance.clamp_min(0.0).sqrt().float().numpy()


BATCH = 100
"""Of 32 to 400 the fastest for 20×20 pictures, small ones and large ones (`benchmarks.views`)."""


@torch.inference_mode()
def decode_vectors(
    model: LatentModel,
    vectors: np.ndarray,
    labels: np.ndarray | None = None,
    dial: np.ndarray | None = None,
) -> np.ndarray:
    """The pictures of flattened latents [N, D], of images with these labels int64 [N] if they are
    known, each at a value of the model's dial [N] if it is turned, as they are shown: uint8
    [N, 1 or 3, H, W]."""
    latents = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    conditioned, pictures = model, []
    for start in range(0, len(latents), BATCH):
        here = slice(start, start + BATCH)
        if labels is not None:
            told = np.ascontiguousarray(labels[here], np.int64)
            conditioned = model.conditioned(torch.from_numpy(told))
        if dial is not None:
            at = np.ascontiguousarray(dial[here], np.float32)
            conditioned = model.dialled(torch.from_numpy(at))
        z = model.unflatten(latents[here].to(model.device))
        pictures.append(to_bytes(_shown(model, conditioned.decode(z))))
    return np.concatenate(pictures)


@torch.inference_mode()
def prior_pictures(model: LatentModel, n: int, seed: int = 0) -> np.ndarray:
    """n samples of the model's own prior, labels in turn where it has them, as they are shown:
    uint8 [n, 1 or 3, H, W].
    Models that draw from the same prior over latents of the same shape get the same z."""
    with evaluating(model):
        z = model.sample_prior(n, torch.Generator(model.device).manual_seed(seed))
        if model.labels:
            model = model.conditioned(torch.arange(n, device=model.device) % model.labels)
        return to_bytes(_shown(model, model.decode(z)))


def _shown(model: LatentModel, x_logits: torch.Tensor) -> torch.Tensor:
    pictures: torch.Tensor = shown(model.picture(x_logits), model.shown_channels)
    return pictures
