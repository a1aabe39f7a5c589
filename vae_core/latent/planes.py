"""Where to decode: planes through the latent space, traversals, samples beside the data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import torch

from vae_core.errors import UserError
from vae_core.imaging.png import to_bytes
from vae_core.models import LatentModel

MOST_A_SIDE = 40
SPREAD_BATCH = 32


def even_values(n: int, reach: float) -> np.ndarray:
    """n steps from −reach to reach: float32 [n]; the middle where there is one step.

    Raises:
        UserError: when n is not between 1 and 40.
    """
    _check_side(n)
    return np.linspace(-reach, reach, n, dtype=np.float32) if n > 1 else np.zeros(n, np.float32)


def quantile_values(n: int) -> np.ndarray:
    """n steps that cut the prior N(0, 1) into equal shares: Φ⁻¹((i + ½) / n), float32 [n].

    Every cell of a grid over them then stands for the same share of what the prior draws.

    Source: Kingma and Welling (2014), appendix A (figure 4).

    Raises:
        UserError: when n is not between 1 and 40.
    """
    _check_side(n)
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)], np.float32)


def plane_vectors(
    center: np.ndarray, first: np.ndarray, second: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Points of a plane: `center + a·first + b·second`, a growing to the right, b upwards.

    Args:
        center, first, second: [D]; the directions are not normalised here.
        values: [n], the steps along both.

    Returns:
        float32 [n, n, D]; row 0 has the largest b, as on paper.
    """
    across = values[None, :, None] * first
    upwards = values[::-1, None, None] * second
    return (center + across + upwards).astype(np.float32)


def traversal_vectors(base: np.ndarray, vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One row for each direction: base [D] moved by every step along it.

    Args:
        vectors: directions [K, D], not normalised here.
        values: [T] steps relative to the base, or [K, T], one row of steps for each direction.

    Returns:
        float32 [K, T, D].
    """
    steps = np.broadcast_to(values, (len(vectors), np.shape(values)[-1]))
    return (base + steps[:, :, None] * vectors[:, None, :]).astype(np.float32)


def dimension_values(base: np.ndarray, order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Steps that bring dimension `order` [K] of base [D] to each of `values` [T]: [K, T].

    Traversals then show the same range for every dimension, wherever the base image lies.
    """
    return values[None, :] - base[order][:, None]


@torch.inference_mode()
def posterior_spread(
    model: LatentModel, x: torch.Tensor, draws: int = 64, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What stays uncertain of one image x [1, C, H, W] once it is encoded.

    Returns:
        (mean picture as it is shown, uint8 [1 or 3, H, W], standard deviation of its pixels over
        `draws` samples of the posterior, float32 [1 or 3, H, W] on the [0, 1] scale; 0 for
        deterministic codes).
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    total = squares = torch.zeros((), dtype=torch.float64)
    for start in range(0, draws, SPREAD_BATCH):
        repeated = x.expand(min(SPREAD_BATCH, draws - start), -1, -1, -1)
        z = model.encode(repeated).sample(generator)
        pictures = model.shown(model.picture(model.decode(z))).cpu().double()
        total = total + pictures.sum(0)
        squares = squares + pictures.square().sum(0)
    mean = total / draws
    deviation = (squares / draws - mean.square()).clamp_min(0.0).sqrt()
    return to_bytes(mean), deviation.float().numpy()


def _check_side(n: int) -> None:
    if not 1 <= n <= MOST_A_SIDE:
        raise UserError(f"A grid has 1 to {MOST_A_SIDE} pictures a side, not {n}.")
