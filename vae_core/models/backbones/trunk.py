"""A trunk: the part of a network that keeps places apart, as stages that each halve the maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from vae_core.errors import UserError
from vae_core.models.backbones.backbone import Shape
from vae_core.registry import Entry, Registry

Build = Callable[[Shape, Any, int], "Trunk"]

trunks: Registry[Entry[Build]] = Registry("backbone with feature maps", Entry)
"""Builders `(image_shape, options, stages) -> Trunk` under the names and options of the backbones.

Where the options leave the number of stages open, there are at least `stages`, as far as the image
can be halved.
"""


@dataclass(frozen=True)
class Trunk:
    """Stages between an image and its smallest feature maps.

    shapes: the image's (C, H, W), then the maps' after each stage.
    inwards: for each stage the layers [B, *shapes[i]] → [B, *shapes[i + 1]].
    outwards: for each stage the layers that lead back; those of the first make the logits.
    """

    shapes: tuple[Shape, ...]
    inwards: tuple[tuple[nn.Module, ...], ...]
    outwards: tuple[tuple[nn.Module, ...], ...]

    def cut(self, stages: int) -> Trunk:
        """The first so many stages alone."""
        return Trunk(self.shapes[: stages + 1], self.inwards[:stages], self.outwards[:stages])

    def encoder_layers(self) -> list[nn.Module]:
        """All layers from the image to the smallest maps."""
        return [layer for stage in self.inwards for layer in stage]

    def decoder_layers(self) -> list[nn.Module]:
        """All layers from the smallest maps to the logits."""
        return [layer for stage in reversed(self.outwards) for layer in stage]


def halved(
    image_shape: Shape,
    channels: tuple[int, ...],
    option: str = "channels",
    *,
    up: bool,
    smallest: int = 1,
) -> tuple[Shape, ...]:
    """The shapes of an image and its maps after each of the stages with so many `channels`.

    Args:
        option: the one that named the channels, for the message.
        up: whether an odd side is halved upwards (kernel 3) or downwards (kernel 4).
        smallest: the least side that maps may have.

    Raises:
        UserError: when the image cannot be halved so often.
    """
    _, height, width = image_shape
    most = most_stages(image_shape, smallest)
    if len(channels) > most:
        raise UserError(
            f"model.options.{option}: {len(channels)} stages are too many for images of "
            f"{height}×{width}; each halves the size, so use at most {most}."
        )
    sides = [(_half(height, i, up), _half(width, i, up)) for i in range(len(channels) + 1)]
    widths = (image_shape[0], *channels)
    return tuple((c, h, w) for c, (h, w) in zip(widths, sides, strict=True))


def most_stages(image_shape: Shape, smallest: int = 1) -> int:
    """How often an image can be halved before a side is below `smallest`."""
    return (min(image_shape[1:]) // smallest).bit_length() - 1


def automatic_channels(
    image_shape: Shape, widths: tuple[int, ...], until: int, stages: int, smallest: int = 1
) -> tuple[int, ...]:
    """So many of `widths`, the last one repeated, as bring the sides below `until`.

    At least `stages` of them, as far as the image can be halved.
    """
    side, most = min(image_shape[1:]), most_stages(image_shape, smallest)
    wanted = max(1, stages, sum(side >> stage >= until for stage in range(most)))
    return tuple(widths[min(i, len(widths) - 1)] for i in range(min(wanted, most)))


def _half(side: int, times: int, up: bool) -> int:
    return -(-side >> times) if up else side >> times
