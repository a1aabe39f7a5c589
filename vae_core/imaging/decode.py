"""One picture file of any kind: its values, or one uint8 array of the size that was asked for."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_core.imaging.fit import Box, Target, content_box, fit

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What pillow may try. Named, because some of its other readers start foreign programs."""

EXTENSIONS = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ".pgm", ".ppm", ".pbm", ".pnm",
})  # fmt: skip


class NotAnImage(Exception):
    """The file gives no picture; the message says why in a few words."""


def decode(file: BinaryIO, target: Target) -> np.ndarray:
    """Read a picture and bring it to `target`: uint8 [C, height, width].

    Raises:
        NotAnImage: when it is none, is damaged or truncated, is larger than pillow's limit, or
            has channels that cannot become those of the target.
    """
    return decode_boxed(file, target)[0]


def decode_boxed(file: BinaryIO, target: Target) -> tuple[np.ndarray, Box]:
    """As `decode`, with where in the image the picture lies: beside it there is padding."""
    # Twice the target keeps the quality.
    values = read_values(file, (2 * target.width, 2 * target.height))
    try:
        return fit(values, target), content_box(values.shape, target)
    except ValueError as error:
        raise NotAnImage(str(error)) from None


def read_values(file: BinaryIO, least: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as its file holds it: [H, W, C] of 1 or 3 channels, in its own number type.

    The first frame of several; upright after its EXIF orientation; transparency over white;
    palettes, CMYK and the like as colour.

    Args:
        least: (width, height) that are enough: a JPEG is decoded at a fraction of its size.

    Raises:
        NotAnImage: as `decode`.
    """
    try:
        return _read_values(file, least)
    except (NotAnImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise NotAnImage("no image") from None
    except Image.DecompressionBombError:
        raise NotAnImage("too many pixels") from None
    except Exception as error:  # on damaged files pillow's readers raise almost anything
        raise NotAnImage(f"damaged: {error or type(error).__name__}".rstrip(".")) from error


def _read_values(file: BinaryIO, least: tuple[int, int] | None) -> np.ndarray:
    with Image.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise NotAnImage("too many pixels")
        if least is not None:
            opened.draft(None, least)
        values = np.asarray(_plain(ImageOps.exif_transpose(opened)))
    return values if values.ndim == 3 else values[:, :, None]


def _plain(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB, or in its own where that is one of deep grey values."""
    if image.mode[0] in "IF":
        return image
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
