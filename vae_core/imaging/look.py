"""What a picture file holds, found out before anything is decided: its size and its values."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from vae_core.imaging.decode import Reader
from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.reading import Picture

SHALLOW = ("JPEG", "WEBP", "GIF", "BMP")
"""Formats of pillow with 8 bits a value; of the others some have more."""

LEVELS = (
    0.0, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10)),
    0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0,
)  # fmt: skip
"""Of the quantiles that are kept of each picture: dense where windows end."""

MOST_VALUES = 1_000_000
"""Of one picture that its quantiles are taken of, evenly spread; the first and last are exact."""

_TRANSPOSED = (5, 6, 7, 8)
"""EXIF orientations that swap the sides."""


@dataclass(frozen=True)
class Look:
    """One picture.

    kind: its number type, such as "uint16".
    values: how many of them are numbers; quantiles: theirs at `LEVELS`, in the file's units, ()
        where all have 8 bits.
    """

    height: int
    width: int
    channels: int
    kind: str
    values: int = 0
    quantiles: tuple[float, ...] = ()


def look(reader: Reader, picture: Picture) -> Look:
    """Find out what a picture holds; of one with 8 bits a value its head alone is read.

    Raises:
        NotAnImage: when it gives none.
        OSError: as `Reader.values`.
    """
    file = picture.file
    head = _shallow_head(io.BytesIO(file)) if isinstance(file, bytes) else None
    return look_at(reader.values(picture)) if head is None else head


def look_at(values: np.ndarray) -> Look:
    """What values [H, W, C] hold."""
    height, width, channels = values.shape
    if values.dtype == np.uint8:
        return Look(height, width, channels, "uint8")
    numbers = values[np.isfinite(values)]
    quantiles: tuple[float, ...] = ()
    if len(numbers):
        few = numbers[:: -(-len(numbers) // MOST_VALUES)].astype(np.float64)
        # Values that occur, and of two the inner one: one far pixel shall not reach inwards.
        lower = np.quantile(few, [level for level in LEVELS if 0 < level <= 0.5], method="higher")
        upper = np.quantile(few, [level for level in LEVELS if 0.5 < level < 1], method="lower")
        inner = (*lower.tolist(), *upper.tolist())
        quantiles = (float(numbers.min()), *inner, float(numbers.max()))
    return Look(height, width, channels, values.dtype.name, len(numbers), quantiles)


def _shallow_head(file: BinaryIO) -> Look | None:
    """What the head says of a picture of 8 bits a value; None where that needs a closer look."""
    start = file.read(26)
    file.seek(0)
    is_png = start[:8] == b"\x89PNG\r\n\x1a\n"
    if is_png and (len(start) < 26 or start[24] > 8):
        return None
    try:
        with Image.open(file, formats=("PNG", *SHALLOW)) as image:
            if not is_png and image.format not in SHALLOW:
                return None
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise NotAnImage("too many pixels")
            width, height = image.size
            if image.getexif().get(0x0112) in _TRANSPOSED:
                width, height = height, width
            return Look(height, width, 1 if image.mode in ("1", "L", "LA") else 3, "uint8")
    except NotAnImage:
        raise
    except Exception:  # whoever reads all of it says what is wrong
        return None
