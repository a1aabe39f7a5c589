"""An autoencoder taken apart into layers, each with the layer that undoes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_core.errors import UserError
from vae_core.models.backbones.neck import FlattenChannelsLast
from vae_core.models.bottlenecks import Deterministic
from vae_core.models.latent_model import LatentModel

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
_FLATTENING = (nn.Flatten, FlattenChannelsLast)


@dataclass(frozen=True)
class Layer:
    """One layer on the way in, and the one on the way out that leads from its result back."""

    inward: nn.Sequential
    outward: nn.Sequential

    def parameters(self) -> list[nn.Parameter]:
        """The weights of both."""
        return [*self.inward.parameters(), *self.outward.parameters()]


def layers_of(model: LatentModel, backbone: str) -> list[Layer]:
    """The layers of an autoencoder from the image inwards.

    Raises:
        UserError: naming `backbone`, when its two sides do not mirror each other.
    """
    bottleneck = model.bottleneck
    if isinstance(model.encoder, nn.Sequential) and isinstance(model.decoder, nn.Sequential):
        assert isinstance(bottleneck, Deterministic)
        inwards = _split(model.encoder, lambda layer: _weighs(layer) or _flattens(layer))
        inwards.append(nn.Sequential(bottleneck.z, bottleneck.activation))
        outwards = _split(model.decoder, _weighs)[::-1]
        layers = [Layer(a, b) for a, b in zip(inwards, outwards, strict=False)]
        if len(inwards) == len(outwards) and _mirror(layers, model):
            return layers
    raise UserError(
        f"model.backbone: the two sides of {backbone!r} do not mirror each other layer by layer; "
        "take mlp or conv to train layers one after the other."
    )


def _split(layers: nn.Sequential, begins: Callable[[nn.Module], bool]) -> list[nn.Sequential]:
    """Cut so that each piece has one layer with weights; what follows it stays with it."""
    pieces: list[list[nn.Module]] = [[]]
    for layer in layers:
        if begins(layer) and any(_weighs(held) for held in pieces[-1]):
            pieces.append([])
        pieces[-1].append(layer)
    return [nn.Sequential(*piece) for piece in pieces]


def _weighs(layer: nn.Module) -> bool:
    return not isinstance(layer, _NORMS) and any(True for _ in layer.parameters())


def _flattens(layer: nn.Module) -> bool:
    return isinstance(layer, _FLATTENING)


@torch.no_grad()
def _mirror(layers: list[Layer], model: LatentModel) -> bool:
    """Whether every layer leads back to the shape that it came from."""
    was_training = model.training
    model.eval()
    x: Tensor = torch.zeros(1, *model.image_shape, device=model.device)
    fits = True
    for layer in layers:
        code = layer.inward(x)
        fits = fits and layer.outward(code).shape == x.shape
        x = code
    model.train(was_training)
    return fits
