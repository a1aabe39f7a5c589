"""What joins the maps of a trunk to the latents: flat, through hidden layers, or as maps."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from vae_core.models.backbones.backbone import Backbone
from vae_core.models.backbones.trunk import Trunk


def backbone_of(
    trunk: Trunk, latent_dim: int, hidden: tuple[int, ...] = (), back: Trunk | None = None
) -> Backbone:
    """A trunk with fully connected layers of `hidden` ReLU units on either side of the latents.

    Without hidden layers the heads read the flattened maps, and one linear layer writes them.

    Args:
        back: another trunk to come back by.
    """
    back = back or trunk
    maps = back.shapes[-1]
    features = math.prod(trunk.shapes[-1])
    encoder = [*trunk.encoder_layers(), FlattenChannelsLast()]
    for a, b in pairwise((features, *hidden)):
        encoder += [nn.Linear(a, b), nn.ReLU()]
    decoder: list[nn.Module] = []
    for a, b in pairwise((latent_dim, *reversed(hidden), math.prod(maps))):
        decoder += [nn.Linear(a, b), nn.ReLU()]
    if not hidden:
        decoder.pop()
    decoder += [UnflattenChannelsLast(*maps), *back.decoder_layers()]
    return Backbone(nn.Sequential(*encoder), (features, *hidden)[-1], nn.Sequential(*decoder))


def maps_of(trunk: Trunk, latent_dim: int) -> Backbone:
    """A trunk whose smallest maps [B, features, h, w] are read as they are.

    `latent_dim` maps of the same size lead back, through a convolution that lets neighbours agree.
    """
    features = trunk.shapes[-1][0]
    back = (nn.Conv2d(latent_dim, features, 3, padding=1), nn.ReLU(), *trunk.decoder_layers())
    return Backbone(nn.Sequential(*trunk.encoder_layers()), features, nn.Sequential(*back))


class FlattenChannelsLast(nn.Module):
    """[B, C, H, W] → [B, H·W·C]: a view, not a copy, of a tensor in channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenChannelsLast(nn.Module):
    """[B, H·W·C] → [B, C, H, W] in channels-last memory, without a copy.

    Transposed convolutions and their ReLUs then stay in one memory format, forward and backward.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)
