"""One picture file of any kind as one uint8 array of the size that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_core.imaging.resize import with_channels

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What pillow may try. Named, because some of its other readers start foreign programs."""

EXTENSIONS = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ".pgm", ".ppm", ".pbm", ".pnm",
})  # fmt: skip


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


class NotAnImage(Exception):
    """The file gives no picture; the message says why in a few words."""


def decode(file: BinaryIO, target: Target) -> np.ndarray:
    """Read a picture: uint8 [C, size, size].

    The first frame of several; upright after its EXIF orientation; transparency over white;
    16 bits as 8; palettes, CMYK and the like as colour.

    Raises:
        NotAnImage: when it is none, is damaged or truncated, or is larger than pillow's limit.
    """
    try:
        return _decode(file, target)
    except (NotAnImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise NotAnImage("no image") from None
    except Image.DecompressionBombError:
        raise NotAnImage("too many pixels") from None
    except Exception as error:  # on damaged files pillow's readers raise almost anything
        raise NotAnImage(f"damaged: {error or type(error).__name__}".rstrip(".")) from error


def _decode(file: BinaryIO, target: Target) -> np.ndarray:
    with Image.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise NotAnImage("too many pixels")
        # A JPEG can be decoded at a fraction of its size; twice the target keeps the quality.
        opened.draft(None, (2 * target.size, 2 * target.size))
        image = _plain(ImageOps.exif_transpose(opened))
    square = _cropped(image, target) if target.resize == "crop" else _fitted(image, target.size)
    if square.ndim == 2:
        square = square[:, :, None]
    elif (square == square[:, :, :1]).all():
        square = square[:, :, :1]
    return np.ascontiguousarray(with_channels(square.transpose(2, 0, 1), target.channels))


def _plain(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB."""
    if image.mode[0] in "IF":
        return _eight_bits(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep grey values: floats within [0, 1] and integers beyond 8 bits are scaled to 0..255."""
    values = np.nan_to_num(np.asarray(image, np.float32))
    if image.mode == "F":
        scale = 255.0 if values.max() <= 1 else 1.0
    else:
        scale = 1 / 257 if image.mode != "I" or values.max() > 255 else 1.0
    return Image.fromarray(np.rint(np.clip(values * scale, 0, 255)).astype(np.uint8))


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
