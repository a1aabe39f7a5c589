"""The values of a picture brought to what was asked for: its size, eight bits, its channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from vae_core.imaging.resize import with_channels


@dataclass(frozen=True)
class Target:
    """What every picture is brought to.

    size: side of the square in pixels.
    resize: crop cuts the centre square; fit keeps the whole picture and fills the rest of the
        square with the mean colour of the picture's edge, which shows least on any background.
    channels: 1, 3, or None: 1 for a picture whose channels agree, 3 for any other.
    centre: for crop, the side of the square as a share of the picture's shorter side.
    """

    size: int
    resize: Literal["crop", "fit"] = "crop"
    channels: Literal[1, 3] | None = None
    centre: float = 1.0


def fit(values: np.ndarray, target: Target) -> np.ndarray:
    """A picture as its file holds it, [H, W, C] of any number type: uint8 [C, size, size]."""
    image = Image.fromarray(_eight_bits(values).squeeze(2) if values.shape[2] == 1 else values)
    square = _cropped(image, target) if target.resize == "crop" else _fitted(image, target.size)
    if square.ndim == 2:
        square = square[:, :, None]
    elif (square == square[:, :, :1]).all():
        square = square[:, :, :1]
    return np.ascontiguousarray(with_channels(square.transpose(2, 0, 1), target.channels))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Deep grey values: floats within [0, 1] and integers beyond 8 bits are scaled to 0..255."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
        scale = 255.0 if values.max() <= 1 else 1.0
    else:
        scale = 1 / 257 if values.dtype == np.uint16 or values.max() > 255 else 1.0
    return np.rint(np.clip(values * np.float32(scale), 0, 255)).astype(np.uint8)


def _cropped(image: Image.Image, target: Target) -> np.ndarray:
    side = min(image.size) * target.centre
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    size = (target.size, target.size)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=3.0))


def _fitted(image: Image.Image, size: int) -> np.ndarray:
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    inner = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0))
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    out = np.empty((size, size, *inner.shape[2:]), np.uint8)
    out[:] = np.rint(edge.mean(axis=0))
    top, left = (size - height) // 2, (size - width) // 2
    out[top : top + height, left : left + width] = inner
    return out
