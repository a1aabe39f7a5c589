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

    A model that can be told something takes that too: a conditional one the label of each image,
    int64 [B], −1 where it is not known; one with a dial the value of it, float [B].
    """

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, ...]:
        posterior = _told(self.model, given).encode(x)
        mu = self.model.flatten(posterior.mode())
        logvar = posterior.log_variance()
        return (mu,) if logvar is None else (mu, self.model.flatten(logvar))


class DecoderHalf(nn.Module):
    """Flattened latents [B, D], and what is told as `EncoderHalf` → pictures [B, C, H, W] in
    [0, 1]."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, given: Tensor | None = None) -> Tensor:
        logits = _told(self.model, given).decode(self.model.unflatten(z))
        return self.model.picture(logits)


def _told(model: LatentModel, given: Tensor | None) -> LatentModel:
    if given is None:
        return model
    return model.conditioned(given) if model.dial is None else model.dialled(given)


Inputs = dict[str, Tensor]
"""What a half is called with, by the name of the argument."""


@torch.no_grad()
def try_inputs(model: LatentModel, n: int, seed: int = 0) -> tuple[Inputs, Inputs]:
    """n pictures that the model itself draws, the latents they come from, and what it is told where
    it can be: ({"x": …}, {"z": …}), both with "label" for a conditional model, and with the key of
    its dial for one that has any. A UserError for a network whose operations are not ours."""
    if isinstance(model, GivenModel):
        raise UserError(
            "This network is kept as it came, in the folder “brought” of its run: take it from "
            "there, or export its encodings."
        )
    z = model.flatten(model.sample_prior(n, torch.Generator(model.device).manual_seed(seed)))
    told: Inputs = {}
    if model.labels:
        told = {"label": torch.arange(n, device=z.device) % (model.labels + 1) - 1}
    elif model.dial is not None:
        told = {model.dial.key: torch.tensor(model.dial.values(n), device=z.device)}
    x = DecoderHalf(model)(z, *told.values()).contiguous()
    return {"x": x} | told, {"z": z} | told


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
