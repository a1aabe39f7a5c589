"""Five normalised stages down to 2×2: the network of PyTorch-VAE, and that of a blog on faces."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from vae_core.errors import UserError
from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.conv_bn import SMALLEST, Order, growing, order_setting, shrinking
from vae_core.models.backbones.neck import backbone_of
from vae_core.models.backbones.trunk import Trunk, automatic_channels, halved, trunks
from vae_core.settings import Settings, setting


class DeepConvOptions(Settings):
    """Widths of the stages, and where they are normalised."""

    channels: tuple[int, ...] | None = setting(
        None,
        "Channels",
        "Feature maps of each halving stage; empty takes 32, 64, … 512, as many as the size asks.",
        more=True,
        min_length=1,
    )
    decoder_channels: tuple[int, ...] | None = setting(
        None,
        "Decoder channels",
        "Feature maps that each doubling stage begins with, the smallest first; the last one makes "
        "the colours. Empty mirrors the way in and adds an output convolution.",
        more=True,
        min_length=1,
    )
    normalise: Order = order_setting()


LABEL = "Deep convolutional"
BLURB = "Five normalised stages down to 2×2; for faces and other pictures of 64×64."
WIDTHS = (32, 64, 128, 256, 512)


@backbones.register("deep-conv", label=LABEL, blurb=BLURB, options=DeepConvOptions)
def deep_conv(image_shape: Shape, latent_dim: int, options: DeepConvOptions) -> Backbone:
    """Stages of kernel 3, stride 2, LeakyReLU; the heads read the flattened maps.

    With 32, 64, 128, 256, 512 channels on 64×64 images it is `VanillaVAE` of Subramanian,
    PyTorch-VAE (2020).

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    back = None if options.decoder_channels is None else _own_way_back(image_shape, options)
    return backbone_of(_mirrored(image_shape, options, 1), latent_dim, back=back)


@trunks.register("deep-conv", label=LABEL, blurb=BLURB, options=DeepConvOptions)
def deep_conv_trunk(image_shape: Shape, options: DeepConvOptions, stages: int) -> Trunk:
    """Stages of convolution, batch normalisation and LeakyReLU.

    Raises:
        UserError: as `deep_conv`, and where the way back is asked to have widths of its own.
    """
    if options.decoder_channels is not None:
        raise UserError(
            "model.options.decoder_channels: with latents on maps the way back mirrors the way "
            "in; leave it empty."
        )
    return _mirrored(image_shape, options, stages)


def _mirrored(image_shape: Shape, options: DeepConvOptions, stages: int) -> Trunk:
    channels = options.channels or automatic_channels(image_shape, WIDTHS, 4, stages, SMALLEST)
    shapes = halved(image_shape, channels, up=True, smallest=SMALLEST)
    inwards = tuple(
        shrinking(large, small, nn.LeakyReLU(), options.normalise)
        for large, small in pairwise(shapes)
    )
    # The last stage keeps its width up to the full size; the output convolution makes the colours.
    outwards = _outwards(((channels[0], *image_shape[1:]), *shapes[1:]), options.normalise)
    output = nn.Conv2d(channels[0], image_shape[0], 3, padding=1)
    return Trunk(shapes, inwards, ((*outwards[0], output), *outwards[1:]))


def _own_way_back(image_shape: Shape, options: DeepConvOptions) -> Trunk:
    """A trunk with nothing on the way in; its last transposed convolution makes the colours."""
    assert options.decoder_channels is not None
    channels = options.decoder_channels[::-1]
    shapes = halved(image_shape, channels, "decoder_channels", up=True, smallest=SMALLEST)
    outwards = _outwards(shapes, options.normalise)
    return Trunk(shapes, (), (outwards[0][:1], *outwards[1:]))


def _outwards(shapes: tuple[Shape, ...], normalise: Order) -> tuple[tuple[nn.Module, ...], ...]:
    return tuple(
        growing(small, large, nn.LeakyReLU(), normalise) for large, small in pairwise(shapes)
    )
