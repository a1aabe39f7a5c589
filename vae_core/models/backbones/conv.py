"""Strided convolutions inwards, transposed convolutions outwards, hidden layers between."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.neck import backbone_of
from vae_core.models.backbones.resampling import Downsampling, Upsampling
from vae_core.models.backbones.trunk import Trunk, automatic_channels, halved, trunks
from vae_core.settings import Settings, setting


class ConvOptions(Settings):
    """Shape of the convolutional network."""

    channels: tuple[int, ...] | None = setting(
        None,
        "Channels",
        "Feature maps of each halving stage; empty chooses from the image size.",
        more=True,
        min_length=1,
    )
    hidden: int = setting(
        256, "Hidden units", "Width of the layer beside the bottleneck.", more=True, ge=1, le=8192
    )
    hidden_layers: int = setting(
        1, "Hidden layers", "How many such layers there are on either side.", more=True, ge=1, le=4
    )
    bias: bool = setting(True, "Convolution biases", "Whether convolutions add a bias.", more=True)


LABEL = "Convolutional"
BLURB = "Halves the image stage by stage; the right start for pictures of any size."
WIDTHS = (32, 64, 128)


@backbones.register("conv", label=LABEL, blurb=BLURB, options=ConvOptions)
def conv(image_shape: Shape, latent_dim: int, options: ConvOptions) -> Backbone:
    """Encoder and mirrored decoder; sizes that do not divide by two are restored exactly.

    With 32, 32, 64, 64 channels on 64×64 images it is the network that Locatello et al.,
    Challenging Common Assumptions (2019), table 1, share among all methods; with four times 32 and
    two hidden layers that of Burgess et al. (2018), appendix.

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    hidden = (options.hidden,) * options.hidden_layers
    return backbone_of(conv_trunk(image_shape, options, 1), latent_dim, hidden)


@trunks.register("conv", label=LABEL, blurb=BLURB, options=ConvOptions)
def conv_trunk(image_shape: Shape, options: ConvOptions, stages: int) -> Trunk:
    """Stages of convolution and ReLU; raises as `conv`."""
    channels = options.channels or automatic_channels(image_shape, WIDTHS, 6, stages)
    shapes = halved(image_shape, channels, up=False)
    inwards = [
        (Downsampling(large[0], small[0], bias=options.bias), nn.ReLU())
        for large, small in pairwise(shapes)
    ]
    outwards = [
        (Upsampling(small[0], large[0], _odd(large), bias=options.bias), nn.ReLU())
        for large, small in pairwise(shapes)
    ]
    return Trunk(shapes, tuple(inwards), (outwards[0][:1], *outwards[1:]))


def _odd(shape: Shape) -> tuple[int, int]:
    return shape[1] % 2, shape[2] % 2
