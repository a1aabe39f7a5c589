"""Strided convolutions inwards, transposed convolutions outwards, one hidden layer between."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from vae_core.errors import UserError
from vae_core.models.backbones.backbone import Backbone, backbones
from vae_core.models.backbones.upsampling import KERNEL, PADDING, STRIDE, Upsampling
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
    bias: bool = setting(True, "Convolution biases", "Whether convolutions add a bias.", more=True)


@backbones.register(
    "conv",
    label="Convolutional",
    blurb="Halves the image stage by stage; the right start for pictures of any size.",
    options=ConvOptions,
)
def conv(image_shape: tuple[int, int, int], latent_dim: int, options: ConvOptions) -> Backbone:
    """Encoder and mirrored decoder; sizes that do not divide by two are restored exactly.

    Raises:
        UserError: when there are more stages than the image can be halved.
    """
    in_channels, height, width = image_shape
    channels = options.channels or automatic_channels(min(height, width))
    sizes = [(height >> stage, width >> stage) for stage in range(len(channels) + 1)]
    if min(sizes[-1]) < 1:
        raise UserError(
            f"model.options.channels: {len(channels)} stages are too many for images of "
            f"{height}×{width}; each halves the size, so use at most "
            f"{min(height, width).bit_length() - 1}."
        )
    inwards = (in_channels, *channels)
    features = channels[-1] * sizes[-1][0] * sizes[-1][1]

    encoder: list[nn.Module] = []
    for a, b in pairwise(inwards):
        encoder += [nn.Conv2d(a, b, KERNEL, STRIDE, PADDING, bias=options.bias), nn.ReLU()]
    encoder += [FlattenChannelsLast(), nn.Linear(features, options.hidden), nn.ReLU()]

    decoder: list[nn.Module] = [nn.Linear(latent_dim, options.hidden), nn.ReLU()]
    decoder += [nn.Linear(options.hidden, features), nn.ReLU()]
    decoder += [UnflattenChannelsLast(channels[-1], *sizes[-1])]
    stages = zip(pairwise(reversed(inwards)), pairwise(reversed(sizes)), strict=True)
    for (a, b), (small, large) in stages:
        extra = (large[0] - 2 * small[0], large[1] - 2 * small[1])
        decoder += [
            Upsampling(a, b, extra, bias=options.bias),
            nn.ReLU(),
        ]
    return Backbone(nn.Sequential(*encoder), options.hidden, nn.Sequential(*decoder[:-1]))


def automatic_channels(side: int) -> tuple[int, ...]:
    """32, 64, 128, 128, … feature maps: as many stages as bring `side` below 6."""
    stages = max(1, sum(side >> stage >= 6 for stage in range(10)))
    return tuple(min(128, 32 << stage) for stage in range(stages))


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
