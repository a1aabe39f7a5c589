"""Arrays of any shape and number type as pictures: [H, W, C] in one of six number types."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vae_core.imaging.kinds import NotAnImage

MOST_CHANNELS = 16
MOST_BYTES = 2**30
"""Of the values of one picture."""

FINE = 2**-12
"""Of what the values of a picture span: they are told apart at least so finely, for what is narrow
becomes eight bits too."""

_KEPT = ("uint8", "uint16", "int16", "int32", "float32")


@dataclass(frozen=True)
class Layout:
    """Where the pictures lie in an array.

    count: pictures; shape: (H, W, C) of one.
    leading: the sizes of the dimensions that count pictures.
    first: whether channels come before height and width.
    """

    leading: tuple[int, ...]
    shape: tuple[int, int, int]
    first: bool = False

    @property
    def count(self) -> int:
        """Pictures."""
        return int(np.prod(self.leading, dtype=np.int64))

    @property
    def within(self) -> tuple[int, ...]:
        """The shape of one picture as it lies in the array, without channels where it has none."""
        height, width, channels = self.shape
        return (channels, height, width) if self.first else (height, width, channels)

    def place(self, index: int) -> tuple[int, ...]:
        """Where a picture lies in the array."""
        found = np.unravel_index(index, self.leading) if self.leading else ()
        return tuple(int(i) for i in found)

    def upright(self, one: np.ndarray) -> np.ndarray:
        """[H, W, C] of one picture as it lies in the array."""
        one = one.reshape(self.within)
        return one.transpose(1, 2, 0) if self.first else one


def layout_of(shape: tuple[int, ...]) -> Layout:
    """How an array holds pictures, told by its shape alone.

    [H, W], [N, H, W], [N, H, W, C] and [N, C, H, W], with up to 16 channels, and with more
    dimensions in front. Three dimensions are [H, W, C] where C is 1 to 4 and less than W, or at
    most 16 beside equal sides; else they are [N, H, W].

    Raises:
        NotAnImage: when it holds none.
    """
    if 0 in shape:
        raise NotAnImage(f"an empty array of shape {_times(shape)}")
    if len(shape) < 2:
        raise NotAnImage(f"an array of shape {_times(shape)}, which is no picture")
    if len(shape) == 2:
        return Layout((), (*shape, 1))
    last = shape[-1]
    if len(shape) == 3:
        colour = last <= 4 < shape[1] or (last <= MOST_CHANNELS < shape[0] == shape[1])
        if colour:
            return Layout((), (shape[0], shape[1], last))
        return Layout(shape[:1], (shape[1], shape[2], 1))
    if last <= 4 or (last <= MOST_CHANNELS and last < min(shape[-3:-1])):
        return Layout(shape[:-3], (shape[-3], shape[-2], last))
    if shape[-3] <= MOST_CHANNELS and shape[-3] < min(shape[-2:]) and len(shape) == 4:
        return Layout(shape[:-3], (shape[-2], shape[-1], shape[-3]), first=True)
    return Layout(shape[:-2], (shape[-2], shape[-1], 1))


def require_picture(height: int, width: int, channels: int = 1, itemsize: int = 1) -> None:
    """Refuse what is no picture, or too large, before memory is taken for it.

    Raises:
        NotAnImage: saying which bound it breaks.
    """
    most = Image.MAX_IMAGE_PIXELS or MOST_BYTES
    if height < 1 or width < 1:
        raise NotAnImage("no pixels in it")
    if height * width > most:
        raise NotAnImage(
            f"too many pixels: {width:,} × {height:,}, and at most {most // 10**6} million are read"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise NotAnImage(f"{channels} channels, and 1 to {MOST_CHANNELS} are read")
    if height * width * channels * itemsize > MOST_BYTES:
        raise NotAnImage(f"more than {MOST_BYTES >> 20} MB of values in one picture")


def as_values(array: np.ndarray) -> np.ndarray:
    """[H, W] or [H, W, C] of any numbers as [H, W, C] uint8, uint16, int16, int32 or float32;
    float64 where single floats would blur what the values differ by, such as 100 at 3e9.

    A type that is not among them becomes the narrowest that keeps its values. What is no
    finite number stays so: only the scale of the whole collection tells how dark it is (`fit`).

    Raises:
        NotAnImage: when it holds no numbers, or is no picture.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise NotAnImage(f"an array of shape {_times(array.shape)}, which is no picture")
    height, width, channels = array.shape
    require_picture(height, width, channels, array.itemsize)
    if array.dtype.kind not in "buif":
        raise NotAnImage(f"values of type {array.dtype}, which are no numbers of pixels")
    return np.ascontiguousarray(_with_numbers(_kept(array)))


def over_white(values: np.ndarray) -> np.ndarray:
    """Integers [H, W, C + 1] whose last channel is opacity, laid over white: [H, W, C]."""
    white = np.iinfo(values.dtype).max
    opacity = values[:, :, -1:].astype(np.float64) / white
    laid = values[:, :, :-1] * opacity + white * (1 - opacity)
    return np.rint(laid).astype(values.dtype)


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W, C] upright, after the number 1 to 8 that EXIF and TIFF have for it."""
    if orientation >= 5:
        values = values.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _kept(array: np.ndarray) -> np.ndarray:
    kind = array.dtype.newbyteorder("=")
    if kind.name in _KEPT:
        return array.astype(kind, copy=False)
    if kind.name == "bool":
        return array.astype(np.uint8) * np.uint8(255)
    if kind.name == "int8":
        return array.astype(np.int16)
    if kind.kind in "ui":
        least, most = int(array.min()), int(array.max())
        if np.iinfo(np.int32).min <= least and most <= np.iinfo(np.int32).max:
            return array.astype(np.int32)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which is dealt with
        single = array.astype(np.float32)
    numbers = single[np.isfinite(single)]
    if numbers.size:
        extremes = np.array([numbers.min(), numbers.max()])
        kept = array[np.isfinite(single)].astype(np.float64)
        if float(np.spacing(np.abs(extremes).max())) > FINE * float(kept.max() - kept.min()) > 0:
            return array.astype(np.float64)
    return single


def _with_numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f" and not np.isfinite(array).any():
        raise NotAnImage("not one number in it is finite")
    return array


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"
