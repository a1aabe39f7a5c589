"""Arrays of images brought to another size or to other channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from vae_core.progress import Progress

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]


def with_channels(image: np.ndarray, channels: int | None) -> np.ndarray:
    """A uint8 image or images [..., C, H, W] with `channels`; None keeps them.

    Grey becomes any number of equal ones, colour becomes grey.

    Raises:
        ValueError: for any other number, which nothing tells how to make.
    """
    own = image.shape[-3]
    if channels is None or own == channels:
        return image
    if own == 1:
        return np.repeat(image, channels, axis=-3)
    if own == 3 and channels == 1:
        return np.rint((image * _LUMA).sum(-3, keepdims=True)).astype(np.uint8)
    raise ValueError(f"it has {own} channels, not {channels}")


def shown(images: Any, channels: Sequence[int] | None = None) -> Any:
    """What a person is shown of images [..., C, H, W], arrays or tensors: [..., 1 or 3, H, W].

    Grey and colour as they are. Of other counts three channels as red, green and blue; of two the
    first one.

    Args:
        channels: which three, counted from 1; None for the first ones.
    """
    count = images.shape[-3]
    if count in (1, 3) and channels is None:
        return images
    if count == 1:
        return images
    if channels is None:
        channels = (1, 2, 3) if count > 2 else (1,)
    return images[..., [min(channel, count) - 1 for channel in channels], :, :]


def resize(
    image: np.ndarray,
    size: tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> np.ndarray:
    """A uint8 image [C, H, W] at `size` (h, w), antialiased."""
    planes = [np.asarray(Image.fromarray(plane).resize(size[::-1], resample)) for plane in image]
    return np.stack(planes)


def resize_all(
    images: np.ndarray, shape: tuple[int, int, int], progress: Progress, message: str
) -> np.ndarray:
    """uint8 images [N, C, H, W] as uint8 [N, *shape], stretched where the proportions differ."""
    if images.shape[2:] == shape[1:]:
        return with_channels(images, shape[0])
    out = np.empty((len(images), *shape), np.uint8)
    for i, image in enumerate(images):
        out[i] = with_channels(resize(image, shape[1:]), shape[0])
        if i % 1000 == 0:
            progress(message, i / len(images))
    return out


def thumbnail_size(size: tuple[int, int], most: int) -> tuple[int, int]:
    """(height, width) in the proportions of `size`, no side above `most`; never enlarged."""
    scale = min(1.0, most / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def thumbnails(images: np.ndarray, most: int) -> np.ndarray:
    """uint8 [N, C, H, W] with no side above `most` px, averaged down where need be."""
    size = thumbnail_size((images.shape[2], images.shape[3]), most)
    if images.shape[2:] == size:
        return images
    out = np.empty((*images.shape[:2], *size), np.uint8)
    for i, image in enumerate(images):
        out[i] = resize(image, size, Image.Resampling.BOX)
    return out
