"""Convolutions of kernel 3 with batch normalisation: the network of a CIFAR-10 notebook."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import nn

from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.neck import backbone_of
from vae_core.models.backbones.trunk import Trunk, automatic_channels, halved, trunks
from vae_core.settings import Settings, setting

SMALLEST = 2
"""Least side of the maps: batch normalisation of one place of one image has nothing to measure."""


Order = Literal["before", "after"]


def order_setting() -> Order:
    """The setting that says on which side of the activation a stage is normalised."""
    order: Order = setting(
        "before",
        "Normalise",
        "before the activation, as most papers do, or after it: the next layer then reads values "
        "around 0.",
        more=True,
    )
    return order


class ConvBnOptions(Settings):
    """Widths of the stages, and where they are normalised."""

    channels: tuple[int, ...] | None = setting(
        None,
        "Channels",
        "Feature maps of each halving stage; empty takes 96, 192, 384, as many as the size asks.",
        more=True,
        min_length=1,
    )
    normalise: Order = order_setting()


LABEL = "Convolutional, normalised"
BLURB = "Wide stages with batch normalisation; for small colour pictures such as CIFAR-10."
WIDTHS = (96, 192, 384)


@backbones.register("conv-bn", label=LABEL, blurb=BLURB, options=ConvBnOptions)
def conv_bn(image_shape: Shape, latent_dim: int, options: ConvBnOptions) -> Backbone:
    """Stages of kernel 3, stride 2, ReLU; the heads read the flattened maps.

    Normalised after the activation it is the network of a notebook on CIFAR-10.

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    return backbone_of(conv_bn_trunk(image_shape, options, 1), latent_dim)


@trunks.register("conv-bn", label=LABEL, blurb=BLURB, options=ConvBnOptions)
def conv_bn_trunk(image_shape: Shape, options: ConvBnOptions, stages: int) -> Trunk:
    """Stages of convolution, batch normalisation and ReLU; raises as `conv_bn`."""
    channels = options.channels or automatic_channels(image_shape, WIDTHS, 6, stages, SMALLEST)
    shapes = halved(image_shape, channels, up=True, smallest=SMALLEST)
    order = options.normalise
    inwards = tuple(shrinking(large, small, nn.ReLU(), order) for large, small in pairwise(shapes))
    outwards = tuple(growing(small, large, nn.ReLU(), order) for large, small in pairwise(shapes))
    return Trunk(shapes, inwards, (outwards[0][:1], *outwards[1:]))


def shrinking(
    large: Shape, small: Shape, activation: nn.Module, normalise: Order
) -> tuple[nn.Module, ...]:
    """Convolution of kernel 3 that halves; batch normalisation before or after the activation."""
    layer = nn.Conv2d(large[0], small[0], 3, 2, 1)
    return layer, *_ordered(nn.BatchNorm2d(small[0]), activation, normalise)


def growing(
    small: Shape, large: Shape, activation: nn.Module, normalise: Order
) -> tuple[nn.Module, ...]:
    """The way back: transposed convolution of kernel 3, and the same two layers."""
    extra = (1 - large[1] % 2, 1 - large[2] % 2)
    layer = nn.ConvTranspose2d(small[0], large[0], 3, 2, 1, extra)
    return layer, *_ordered(nn.BatchNorm2d(large[0]), activation, normalise)


def _ordered(
    norm: nn.Module, activation: nn.Module, normalise: Order
) -> tuple[nn.Module, nn.Module]:
    return (norm, activation) if normalise == "before" else (activation, norm)
