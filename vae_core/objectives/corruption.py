"""What is done to images before they are shown to a denoising autoencoder.

Source: Vincent et al., Stacked Denoising Autoencoders (2010), section 3.3; masking noise first in
Vincent et al. (2008), section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor

from vae_core.models.posteriors import normal_like

CorruptionName = Literal["gaussian", "masking", "salt-and-pepper"]


def gaussian(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """x + level · ε with ε from N(0, 1); values may leave [0, 1]."""
    return x + level * normal_like(x, generator)


def masking(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """Each value is set to 0 with probability `level`."""
    return torch.where(_uniform_like(x, generator) < level, torch.zeros_like(x), x)


def salt_and_pepper(x: Tensor, level: float, generator: Generator | None) -> Tensor:
    """Each value is set to 0 or to 1, at equal chance, with probability `level`."""
    chance = _uniform_like(x, generator)
    peppered = torch.where(chance < level / 2, torch.zeros_like(x), x)
    return torch.where((level / 2 <= chance) & (chance < level), torch.ones_like(x), peppered)


CORRUPTIONS: dict[CorruptionName, Callable[[Tensor, float, Generator | None], Tensor]] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt-and-pepper": salt_and_pepper,
}


def _uniform_like(x: Tensor, generator: Generator | None) -> Tensor:
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
