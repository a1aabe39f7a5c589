"""The two halves of a model as plain functions of tensors, and inputs to try them with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vae_core.models import LatentModel

EXAMPLES = 2


class EncoderHalf(nn.Module):
    """Images [B, C, H, W] in [0, 1] → posterior mean [B, D] and, where there is one, log σ²."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        posterior = self.model.encode(x)
        mu = self.model.flatten(posterior.mode())
        if "logvar" not in posterior.aux:
            return (mu,)
        return mu, self.model.flatten(posterior.aux["logvar"])


class DecoderHalf(nn.Module):
    """Flattened latents [B, D] → pictures [B, C, H, W] in [0, 1]."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        return self.model.picture(self.model.decode(self.model.unflatten(z)))


@torch.no_grad()
def try_inputs(model: LatentModel, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n pictures that the model itself draws, and the latents they come from: (x, z)."""
    z = model.flatten(model.sample_prior(n, torch.Generator(model.device).manual_seed(seed)))
    return DecoderHalf(model)(z).contiguous(), z


@torch.no_grad()
def traced(half: nn.Module, example: Tensor) -> Any:
    """The operations of one half as a `torch.export.ExportedProgram`, for any batch size."""
    batch = torch.export.Dim.DYNAMIC
    return torch.export.export(half.eval(), (example,), dynamic_shapes=({0: batch},))
