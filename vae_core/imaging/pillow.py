"""Files that pillow reads: which readers may be asked, and one frame of a file as values."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from vae_core.imaging.kinds import Contents, NotAnImage, is_installed, needs
from vae_core.imaging.numbers import over_white, require_picture, turned

STILL = (
    "JPEG", "JPEG2000", "BMP", "DIB", "PPM", "TGA", "PCX", "SGI", "SUN", "QOI", "DDS", "ICO",
    "ICNS", "PSD", "XBM", "XPM",
)  # fmt: skip
SEVERAL = ("PNG", "GIF", "WEBP", "AVIF", "TIFF")
ALLOWED = (*STILL, *SEVERAL)
"""What pillow may try. Named, for some of its other readers start foreign programs (EPS starts
Ghostscript), draw what the system's own library makes of a file (WMF), know nothing but the name of
the format (BUFR, GRIB, HDF5, MPEG), or are of formats that hold textures of games or nothing that
anybody has today (BLP, FTEX, GBR, IM, MSP, PIXAR, SPIDER and the like): code that reads what
strangers send, with nobody to gain by it."""

_DEEP_COLOUR = "16 bits a channel in colour"
_ORIENTATION = 0x0112


class PillowFile:
    """One open file, of one picture or several frames. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO, allowed: tuple[str, ...] = ALLOWED) -> None:
        self._file, self._allowed = file, allowed
        with _told():
            self._image = self._opened()
            require_picture(self._image.height, self._image.width)

    def contents(self) -> Contents:
        """How many frames there are."""
        with _told():
            return Contents(getattr(self._image, "n_frames", 1))

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """A frame, upright, over white, in sRGB: [H, W] or [H, W, C] of its own number type."""
        with _told():
            if index or self._image.tell():
                if index < self._image.tell() and self._image.format == "PNG":  # loses frames then
                    self._image = self._opened()
                self._image.seek(index)
            elif least is not None:
                self._image.draft(None, least)  # a JPEG is decoded at a fraction of its size
            deep = self._deep_colour()
            return deep if deep is not None else np.asarray(_plain(self._image))

    def close(self) -> None:
        """Nothing is open but the file."""

    def _opened(self) -> Image.Image:
        self._file.seek(0)
        return Image.open(self._file, formats=self._allowed)

    def _deep_colour(self) -> np.ndarray | None:
        """Colour of 16 bits, of which pillow keeps 8; None for any other picture."""
        image: Any = self._image
        tiles = getattr(image, "tile", None) or [("", None, 0, None)]
        _, _, offset, facts = tiles[0]
        if image.format == "PNG" and "16" in str(facts) and len(image.getbands()) > 1:
            orientation = image.getexif().get(_ORIENTATION, 1)
            return turned(np.atleast_3d(_deep_png(self._file)), orientation)
        if image.format == "PPM" and image.mode == "RGB" and _most(facts) > 255:
            return _deep_ppm(self._file, offset, image.size, _most(facts))
        return None


@contextmanager
def _told() -> Iterator[None]:
    """What pillow's readers raise on damaged files, which is almost anything, as `NotAnImage`."""
    try:
        yield
    except (NotAnImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise NotAnImage("no image") from None
    except Image.DecompressionBombError:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise NotAnImage(f"too many pixels, and at most {most} million are read") from None
    except Exception as error:
        raise NotAnImage(f"damaged: {error or type(error).__name__}".rstrip(".")) from error


def _plain(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB, or in its own where that is one of deep grey values."""
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        return image
    if image.has_transparency_data:
        coloured = _in_srgb(image.convert("RGBA"), image.info.get("icc_profile"))
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    if image.mode in ("P", "1"):
        image, profile = image.convert("L" if image.mode == "1" else "RGB"), image.info
    else:
        profile = image.info
    image = _in_srgb(image, profile.get("icc_profile"))
    return image.convert("L" if image.mode == "L" else "RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture with its colours as a screen shows them, whatever its file says they are.

    Where the profile is damaged, or of another kind of picture, it stays as it is.
    """
    if not profile:
        return image
    out = {"RGBA": "RGBA", "L": "RGB"}.get(image.mode, "RGB")
    transform = _transform(profile, image.mode, out)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted.convert("L") if image.mode == "L" else converted


@functools.lru_cache(64)
def _transform(profile: bytes, mode: str, out: str) -> ImageCms.ImageCmsTransform | None:
    """What leads from a profile to sRGB; None where it is that already, or is none."""
    try:
        known = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in (known.profile.profile_description or ""):
            return None
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(
            known, srgb, mode, out, ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
    except Exception:  # whatever is wrong with it, the picture is there all the same
        return None


def _deep_png(file: BinaryIO) -> np.ndarray:
    """uint16 [H, W, 1 or 3] of a PNG of 16 bits with colour or opacity, over white."""
    if not is_installed("imagecodecs"):
        raise NotAnImage(f"{_DEEP_COLOUR}: {needs('tiff')}")
    import imagecodecs

    file.seek(0)
    values = imagecodecs.png_decode(file.read())
    return over_white(values) if values.ndim == 3 and values.shape[2] in (2, 4) else values


def _most(facts: Any) -> int:
    """The highest value of a PPM, which pillow notes beside its mode; 0 where it does not."""
    return facts[-1] if isinstance(facts, tuple) and isinstance(facts[-1], int) else 0


def _deep_ppm(file: BinaryIO, offset: int, size: tuple[int, int], most: int) -> np.ndarray:
    """uint16 [H, W, 3] of a PPM whose values go up to `most`."""
    width, height = size
    file.seek(offset)
    data = file.read(6 * width * height)
    if len(data) < 6 * width * height:
        raise NotAnImage("damaged: it is cut short")
    values = np.frombuffer(data, ">u2").reshape(height, width, 3).astype(np.float64)
    return np.rint(values * (65535 / most)).astype(np.uint16)
