"""Whole arrays of images brought to the size and channels that were asked for."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vae_core.config import DataConfig
from vae_core.data.dataset import Progress

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]


def with_channels(image: np.ndarray, channels: int | None) -> np.ndarray:
    """A uint8 image or images [..., C, H, W] with `channels` (1 or 3; None keeps them)."""
    if channels is None or image.shape[-3] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-3)
    return np.rint((image * _LUMA).sum(-3, keepdims=True)).astype(np.uint8)


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """A square uint8 image [C, S, S] at [C, size, size], bicubic and antialiased."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC))
        for plane in image
    ]
    return np.stack(planes)


def shape_asked(config: DataConfig, own: tuple[int, int, int]) -> tuple[int, int, int]:
    """(C, H, W) after the wishes of `config`; `own` is what the data set has by itself."""
    side_h, side_w = (config.image_size,) * 2 if config.image_size else own[1:]
    return config.channels or own[0], side_h, side_w


def bring_to(
    images: np.ndarray, shape: tuple[int, int, int], progress: Progress, message: str
) -> np.ndarray:
    """Square uint8 images [N, C, S, S] as uint8 [N, *shape]."""
    if images.shape[1:] == shape:
        return images
    if images.shape[2:] == shape[1:]:
        return with_channels(images, shape[0])
    out = np.empty((len(images), *shape), np.uint8)
    for i, image in enumerate(images):
        out[i] = with_channels(resized(image, shape[1]), shape[0])
        if i % 1000 == 0:
            progress(message, i / len(images))
    return out
