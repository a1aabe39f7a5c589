"""Pictures that follow one another, as one file that moves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

import numpy as np
from PIL import Image

from vae_core.imaging.resize import shown

Kind = Literal["gif", "webp"]

LONGEST_SIDE = 1024
"""In pixels, of an enlarged picture."""
MOST_PIXELS = 32_000_000
"""In all pictures together; pillow keeps each of them until the last one is there."""


def largest_scale(shape: tuple[int, ...]) -> int:
    """The largest whole number by which pictures [N, C, H, W] may be enlarged, at least 1."""
    n, _, height, width = shape
    by_side = LONGEST_SIDE // max(height, width)
    by_pixels = int((MOST_PIXELS / (n * height * width)) ** 0.5)
    return max(1, min(by_side, by_pixels))


def animation(
    frames: np.ndarray, kind: Kind, frame_ms: int = 80, scale: int = 1, smooth: bool = False
) -> bytes:
    """An endlessly looping GIF or WebP of uint8 pictures [N, C, H, W], as `shown`.

    Args:
        frame_ms: how long each picture stays; a GIF rounds it to 10 ms.
        scale: enlargement; brought down to `largest_scale` where it is above.
        smooth: interpolate when enlarging; else pixels stay crisp squares.
    """
    frames = shown(frames)
    scale = min(scale, largest_scale(frames.shape))
    size = (frames.shape[3] * scale, frames.shape[2] * scale)
    resample = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    pictures: Iterator[Image.Image] = (_picture(frame).resize(size, resample) for frame in frames)
    if kind == "gif" and frames.shape[1] == 3:
        pictures = _with_one_palette(pictures, frames)
    # Crisp pixels have edges that only lossless keeps; method 0 is the fastest.
    webp = {"method": 0, "lossless": not smooth, "quality": 80}
    options = webp if kind == "webp" else {"disposal": 1, "optimize": False}
    buffer, first = io.BytesIO(), next(pictures)
    moving = {"save_all": True, "append_images": pictures, "duration": frame_ms, "loop": 0}
    first.save(buffer, kind.upper(), **moving, **options)
    return buffer.getvalue()


def _with_one_palette(pictures: Iterator[Image.Image], frames: np.ndarray) -> Iterator[Image.Image]:
    """Each picture in the 256 colours that suit all frames [N, 3, H, W].

    One palette does not flicker, and finding one for each of 240 frames takes 50 s in place of 2.
    """
    few = frames[:: -(-len(frames) // 16)]
    side = _picture(np.concatenate(few, axis=1))
    side.thumbnail((2048, 2048), Image.Resampling.NEAREST)
    palette = side.quantize(256, Image.Quantize.MEDIANCUT)
    return (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures)


def _picture(frame: np.ndarray) -> Image.Image:
    pixels = frame[0] if len(frame) == 1 else frame.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))
