"""Five normalised stages and a 3×3 output convolution: the network of a blog on faces."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.conv_bn import SMALLEST, growing, shrinking
from vae_core.models.backbones.neck import backbone_of
from vae_core.models.backbones.trunk import Trunk, automatic_channels, halved, trunks
from vae_core.settings import Settings, setting


class DeepConvOptions(Settings):
    """Widths of the stages."""

    channels: tuple[int, ...] | None = setting(
        None,
        "Channels",
        "Feature maps of each halving stage; empty takes 32, 64, … 512, as many as the size asks.",
        more=True,
        min_length=1,
    )


LABEL = "Deep convolutional"
BLURB = "Five normalised stages down to 2×2; for faces and other pictures of 64×64."
WIDTHS = (32, 64, 128, 256, 512)


@backbones.register("deep-conv", label=LABEL, blurb=BLURB, options=DeepConvOptions)
def deep_conv(image_shape: Shape, latent_dim: int, options: DeepConvOptions) -> Backbone:
    """Stages of kernel 3, stride 2, LeakyReLU; the heads read the flattened maps.

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    return backbone_of(deep_conv_trunk(image_shape, options, 1), latent_dim)


@trunks.register("deep-conv", label=LABEL, blurb=BLURB, options=DeepConvOptions)
def deep_conv_trunk(image_shape: Shape, options: DeepConvOptions, stages: int) -> Trunk:
    """Stages of convolution, batch normalisation and LeakyReLU; raises as `deep_conv`."""
    channels = options.channels or automatic_channels(image_shape, WIDTHS, 4, stages, SMALLEST)
    shapes = halved(image_shape, channels, up=True, smallest=SMALLEST)
    inwards = tuple(shrinking(large, small, nn.LeakyReLU()) for large, small in pairwise(shapes))
    # The last stage keeps its width up to the full size; the output convolution makes the colours.
    wide = ((channels[0], *image_shape[1:]), *shapes[1:])
    outwards = tuple(growing(small, large, nn.LeakyReLU()) for large, small in pairwise(wide))
    output = nn.Conv2d(channels[0], image_shape[0], 3, padding=1)
    return Trunk(shapes, inwards, ((*outwards[0], output), *outwards[1:]))
