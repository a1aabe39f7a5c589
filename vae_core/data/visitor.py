"""A picture that is no part of a data set, brought to what a model was trained on."""

from __future__ import annotations

from typing import BinaryIO, Literal

import numpy as np
from PIL import Image

from vae_core.data.decode import NotAnImage, Target, decode
from vae_core.errors import UserError


def as_trained(
    file: BinaryIO, resize: Literal["crop", "fit"], shape: tuple[int, int, int]
) -> np.ndarray:
    """Read a picture file as a model's data configuration would: uint8 of `shape` (C, H, W).

    Raises:
        UserError: when the file is no picture, is damaged, or is too large.
    """
    channels, height, width = shape
    picture = _read(file, Target(max(height, width), resize, 1 if channels == 1 else 3))
    top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
    return picture[:, top : top + height, left : left + width]


def as_drawn(file: BinaryIO, size: int = 512) -> np.ndarray:
    """Read a drawing, bright on black: uint8 [size, size].

    Raises:
        UserError: as `as_trained`.
    """
    return _read(file, Target(size, "fit", 1))[0]


def _read(file: BinaryIO, target: Target) -> np.ndarray:
    try:
        return decode(file, target)
    except (NotAnImage, MemoryError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UserError(
            f"This file cannot be read as a picture: {error or 'too large'}. "
            f"Use a PNG, JPEG or WebP of at most {most} million pixels."
        ) from None
