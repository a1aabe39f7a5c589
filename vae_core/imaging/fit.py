"""The values of a picture brought to what was asked for: its size, eight bits, its channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from vae_core.imaging.resize import with_channels

Resize = Literal["crop", "fit", "stretch"]
Windowed = Literal["deep", "all", "file"]
Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels, the last two exclusive."""


@dataclass(frozen=True)
class Target:
    """What every picture is brought to.

    height, width: in pixels.
    resize: crop cuts what lies outside of these proportions, evenly on both sides; fit keeps the
        whole picture and fills the rest with the mean colour of its edge, which shows least on
        any background; stretch changes the proportions.
    channels: 1 to 16, or None: 1 for a colour picture whose channels agree, else its own.
    centre: for crop, the kept rectangle as a share of the largest one.
    window: (low, high) in the values of the files, which become black and white.
    windowed: deep applies the window to pictures of more than 8 bits, all to every one; file knows
        no window and scales each by its own type and largest value.
    """

    height: int
    width: int
    resize: Resize = "crop"
    channels: int | None = None
    centre: float = 1.0
    window: tuple[float, float] | None = None
    windowed: Windowed = "deep"


def fit(values: np.ndarray, target: Target) -> np.ndarray:
    """A picture as its file holds it, [H, W, C] of any number type: uint8 [C, height, width].

    Raises:
        ValueError: when its channels cannot become those of the target.
    """
    pixels = eight_bits(values, target)
    if target.resize == "crop":
        image = _resized(pixels, (target.height, target.width), crop_box(pixels.shape, target))
    elif target.resize == "stretch":
        image = _resized(pixels, (target.height, target.width), (0, 0, *pixels.shape[1::-1]))
    else:
        image = _padded(pixels, target)
    if image.shape[2] == 3 and (image == image[:, :, :1]).all():
        image = image[:, :, :1]
    return np.ascontiguousarray(with_channels(image.transpose(2, 0, 1), target.channels))


def eight_bits(values: np.ndarray, target: Target) -> np.ndarray:
    """The values as uint8 of the same shape; what is no number is as dark as the lowest."""
    is_deep = values.dtype != np.uint8
    if target.window is None or target.windowed == "file":
        return _by_itself(values) if is_deep else values
    if not is_deep and target.windowed == "deep":
        return values
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # Each of the few values once: 30 times fewer bytes than with a float for each pixel.
        least = np.iinfo(values.dtype).min
        table = _between(np.arange(least, np.iinfo(values.dtype).max + 1), *target.window)
        return table[values.astype(np.int32) - least]
    return _between(values, *target.window)


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # Doubles for whole numbers: beyond 2²⁴ they are coarser as single floats.
    floats = values if values.dtype == np.float32 else values.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shares = (floats - low) / (high - low)
    np.clip(shares, 0, 1, out=shares, where=np.isfinite(shares))
    shares[~np.isfinite(floats)] = 0
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _by_itself(values: np.ndarray) -> np.ndarray:
    """Floats within [0, 1] and integers beyond 8 bits scaled to 0..255, others cut to it."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
        scale = 255.0 if values.max() <= 1 else 1.0
    else:
        scale = 1 / 257 if values.dtype == np.uint16 or values.max() > 255 else 1.0
    return np.rint(np.clip(values * np.float32(scale), 0, 255)).astype(np.uint8)


def crop_box(shape: tuple[int, ...], target: Target) -> tuple[float, float, float, float]:
    """What a crop keeps of a picture [H, W, …], in its pixels: (left, top, right, bottom)."""
    height, width = shape[:2]
    if height * target.width < width * target.height:  # too wide
        kept_height, kept_width = float(height), height * target.width / target.height
    else:
        kept_height, kept_width = width * target.height / target.width, float(width)
    kept_height, kept_width = kept_height * target.centre, kept_width * target.centre
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def content_box(shape: tuple[int, ...], target: Target) -> Box:
    """Where a picture [H, W, …] lies in what `fit` makes of it; beside it there is padding."""
    if target.resize != "fit":
        return 0, 0, target.height, target.width
    scale = min(target.height / shape[0], target.width / shape[1])
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    top, left = (target.height - height) // 2, (target.width - width) // 2
    return top, left, top + height, left + width


def cut_share(shape: tuple[int, ...], target: Target) -> tuple[float, float]:
    """Of a picture [H, W, …] the shares of its height and its width that a crop cuts off."""
    if target.resize != "crop":
        return 0.0, 0.0
    left, top, right, bottom = crop_box(shape, target)
    return 1 - (bottom - top) / shape[0], 1 - (right - left) / shape[1]


def _padded(pixels: np.ndarray, target: Target) -> np.ndarray:
    top, left, bottom, right = content_box(pixels.shape, target)
    inner = _resized(pixels, (bottom - top, right - left), (0, 0, *pixels.shape[1::-1]))
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    out = np.empty((target.height, target.width, inner.shape[2]), np.uint8)
    out[:] = np.rint(edge.mean(axis=0))
    out[top:bottom, left:right] = inner
    return out


def _resized(
    pixels: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    """The part `box` of uint8 [H, W, C] at `size` (h, w), antialiased: uint8 [h, w, C]."""
    channels = pixels.shape[2]
    # What Pillow takes as one picture; other counts go plane by plane.
    parts = [pixels] if channels == 3 else [pixels[:, :, c] for c in range(channels)]
    small = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(part)).resize(
                size[::-1], Image.Resampling.BICUBIC, box, reducing_gap=3.0
            )
        )
        for part in parts
    ]
    return small[0] if channels == 3 else np.stack(small, axis=-1)
