"""Residual stages with group normalisation: a modern default for pictures of 64×64 and more."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.neck import backbone_of
from vae_core.models.backbones.trunk import Trunk, automatic_channels, halved, trunks
from vae_core.settings import Settings, setting


class ResnetOptions(Settings):
    """Widths and depth of the stages."""

    channels: tuple[int, ...] | None = setting(
        None,
        "Channels",
        "Feature maps of each halving stage; empty takes 32, 64, 128, 256, as the size asks.",
        more=True,
        min_length=1,
    )
    blocks: int = setting(
        1, "Blocks", "Residual blocks of each stage; more are slower and finer.", more=True, ge=1,
        le=8,
    )  # fmt: skip


LABEL = "Residual"
BLURB = "Deeper stages that train well; the modern choice for pictures of 64×64 and more."
WIDTHS = (32, 64, 128, 256)
SMALLEST = 2
"""Least side of the maps: normalisation within an image needs more than one place."""


@backbones.register("resnet", label=LABEL, blurb=BLURB, options=ResnetOptions)
def resnet(image_shape: Shape, latent_dim: int, options: ResnetOptions) -> Backbone:
    """Pre-activation residual stages; the heads read the flattened maps.

    Source: He et al., Identity Mappings in Deep Residual Networks (2016), figure 1 (b); Wu and He,
    Group Normalization (2018), which unlike batch normalisation lets images be and is the same in
    training and afterwards; Odena et al., Deconvolution and Checkerboard Artifacts (2016), for
    resizing before a convolution.

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    return backbone_of(resnet_trunk(image_shape, options, 1), latent_dim)


@trunks.register("resnet", label=LABEL, blurb=BLURB, options=ResnetOptions)
def resnet_trunk(image_shape: Shape, options: ResnetOptions, stages: int) -> Trunk:
    """Stages of one halving or doubling convolution and residual blocks; raises as `resnet`."""
    channels = options.channels or automatic_channels(image_shape, WIDTHS, 6, stages, SMALLEST)
    shapes = halved(image_shape, channels, up=True, smallest=SMALLEST)

    def blocks(width: int) -> list[nn.Module]:
        return [ResidualBlock(width) for _ in range(options.blocks)]

    inwards = tuple(
        (nn.Conv2d(large[0], small[0], 3, 2, 1), *blocks(small[0]), *activated(small[0]))
        for large, small in pairwise(shapes)
    )
    outwards = [
        (
            nn.Conv2d(small[0], large[0], 3, padding=1),
            *blocks(large[0]),
            *activated(large[0]),
            nn.Upsample(size=large[1:]),
        )
        for large, small in pairwise(shapes[1:])
    ]
    first = shapes[1][0]
    picture = (
        *blocks(first),
        *activated(first),
        nn.Upsample(size=image_shape[1:]),
        nn.Conv2d(first, image_shape[0], 3, padding=1),
    )
    return Trunk(shapes, inwards, (picture, *outwards))


class ResidualBlock(nn.Module):
    """x + f(x), f twice normalisation, SiLU and a 3×3 convolution; [B, C, H, W] to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *activated(width),
            nn.Conv2d(width, width, 3, padding=1),
            *activated(width),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


def activated(width: int) -> tuple[nn.Module, nn.Module]:
    """Group normalisation, at most eight groups of at least four maps, and SiLU."""
    groups = math.gcd(width, min(8, max(1, width // 4)))
    return nn.GroupNorm(groups, width), nn.SiLU()
