"""The two halves of a model as plain functions of tensors, and inputs to try them with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vae_core.errors import UserError
from vae_core.models import GivenModel, LatentModel

EXAMPLES = 2


class EncoderHalf(nn.Module):
    """Images [B, C, H, W] in [0, 1] → posterior mean [B, D] and, where there is one, log σ².

    A conditional model also takes the label of each image, int64 [B]; −1 where it is not known.
    """

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        posterior = _conditioned(self.model, label).encode(x)
        mu = self.model.flatten(posterior.mode())
        logvar = posterior.log_variance()
        return (mu,) if logvar is None else (mu, self.model.flatten(logvar))


class DecoderHalf(nn.Module):
    """Flattened latents [B, D], and labels as `EncoderHalf` → pictures [B, C, H, W] in [0, 1]."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        logits = _conditioned(self.model, label).decode(self.model.unflatten(z))
        return self.model.picture(logits)


def _conditioned(model: LatentModel, label: Tensor | None) -> LatentModel:
    return model if label is None else model.conditioned(label)


Inputs = dict[str, Tensor]
"""What a half is called with, by the name of the argument."""


@torch.no_grad()
def try_inputs(model: LatentModel, n: int, seed: int = 0) -> tuple[Inputs, Inputs]:
    """n pictures that the model itself draws, the latents they come from, and their labels where
    it takes any: ({"x": …}, {"z": …}), both with "label" for a conditional model. A UserError for a
    network whose operations are not ours."""
    if isinstance(model, GivenModel):
        raise UserError(
            "This network is kept as it came, in the folder “brought” of its run: take it from "
            "there, or export its encodings."
        )
    z = model.flatten(model.sample_prior(n, torch.Generator(model.device).manual_seed(seed)))
    label = torch.arange(n, device=z.device) % (model.labels + 1) - 1
    labels = {"label": label} if model.labels else {}
    x = DecoderHalf(model)(z, **labels).contiguous()
    return {"x": x} | labels, {"z": z} | labels


@torch.no_grad()
def traced(half: nn.Module, inputs: Inputs) -> Any:
    """The operations of one half as a `torch.export.ExportedProgram`, for any batch size."""
    examples = tuple(inputs.values())
    # One name for the batch of all arguments: images and labels come in the same number.
    batch = torch.export.Dim.DYNAMIC if len(examples) == 1 else torch.export.Dim("batch")
    return torch.export.export(half.eval(), examples, dynamic_shapes=({0: batch},) * len(examples))


def first(inputs: Inputs, n: int = EXAMPLES) -> Inputs:
    """The first n of every argument."""
    return {name: value[:n] for name, value in inputs.items()}
