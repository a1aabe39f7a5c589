"""TIFF: every page, whatever its bits, channels and compression are.

Pillow reads what is made for the eye (palettes, CMYK, JPEG inside, profiles), tifffile what is
measured: 12 to 64 bits, floats, many channels, planes that lie apart.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats, is_installed, needs
from vae_core.imaging.numbers import over_white, require_picture, turned
from vae_core.imaging.pillow import PillowFile

MOST_PAGES = 1_000_000

MOST_ENTRIES = 10_000
"""Of a directory; they are sorted, and what is asked here is among the first."""

_SUBFILE, _REDUCED, _MASK = 254, 1, 4
_MINISWHITE = 0
_ALPHA = (1, 2)
_DESCRIPTION, _PROFILE = 270, 34675
_UNPACKED = (1, 8, 32946)
"""Compressions that tifffile undoes without another library: none and deflate."""
_SEVERAL_IN_ONE = (b"ImageJ=", b'{"shape"')
"""Begin the description of files that may have one head for many pages."""


@dataclass(frozen=True)
class Directory:
    """The head of a page.

    is_beside: whether it is a smaller copy of another, or a mask.
    is_stack: whether it says that more pages lie after it, without heads of their own.
    """

    is_beside: bool
    is_stack: bool


def directories(file: BinaryIO) -> Iterator[Directory]:
    """The heads of the pages of a TIFF, one after the other: a few bytes of each are read.

    They end where the file does, or leads back to where it was.
    """
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    place, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    width, seen = struct.calcsize(place), set[int]()
    with suppress(struct.error, OSError, OverflowError, ValueError):
        (after,) = struct.unpack(order + place, head[8:16] if big else head[4:8])
        while after and after not in seen:
            seen.add(after)
            file.seek(after)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            if entries > MOST_ENTRIES:
                return
            table = file.read(entries * entry + width)
            found = {
                tag: table[start + 4 + width : start + entry]
                for start in range(0, len(table) - width, entry)
                for (tag,) in [struct.unpack(order + "H", table[start : start + 2])]
            }
            kind = struct.unpack(order + "I", found[_SUBFILE][:4])[0] if _SUBFILE in found else 0
            stack = False
            if len(seen) == 1:
                (described,) = struct.unpack(order + place, found.get(_DESCRIPTION, bytes(width)))
                file.seek(described)
                stack = file.read(16).startswith(_SEVERAL_IN_ONE)
            (after,) = struct.unpack(order + place, table[entries * entry :])
            yield Directory(bool(kind & (_REDUCED | _MASK)), stack)


def has_pages(file: BinaryIO) -> bool:
    """Whether a TIFF may hold more than one page, told by its first directories."""
    first = list(islice(directories(file), 2))
    return len(first) > 1 or any(each.is_stack for each in first)


class TiffPages:
    """The pages of an open TIFF, without thumbnails and masks. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        import tifffile

        self._file = file
        self._pillow: PillowFile | None = None
        heads = list(islice(directories(file), MOST_PAGES + 1))
        if len(heads) > MOST_PAGES:
            raise NotAnImage(f"more than {MOST_PAGES:,} pages")
        whole = len(heads) == 1  # whatever the one page is called
        self._pages = [i for i, head in enumerate(heads) if whole or not head.is_beside]
        file.seek(0)
        try:
            self._tiff = tifffile.TiffFile(_Lent(file))
        except MemoryError:
            raise
        except Exception as error:
            raise _no_image(error) from error
        self._virtual = self._tiff.series[0] if whole and self._is_stack() else None

    def contents(self) -> Contents:
        """How many pages there are."""
        if self._virtual is not None:
            return Contents(int(np.prod(self._virtual.shape[: -self._tiff.pages[0].ndim])))
        if not self._pages:
            raise NotAnImage("no page in it but thumbnails and masks")
        return Contents(len(self._pages))

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """A page, upright: [H, W] or [H, W, C] of its own number type."""
        if self._virtual is not None:
            return self._plane(index)
        number = self._pages[index]
        page: Any = self._tiff.pages[number]
        require_picture(page.imagelength, page.imagewidth)
        if _is_for_the_eye(page):
            try:
                return self._by_pillow(number)
            except NotAnImage:
                if not _is_plain(page):
                    raise
        return _measured(page)

    def _by_pillow(self, number: int) -> np.ndarray:
        # Kept, for it goes from one directory to the next up to the one that is asked for.
        if self._pillow is None:
            self._file.seek(0)
            self._pillow = PillowFile(self._file, ("TIFF",))
        return self._pillow.values(number, None)

    def close(self) -> None:
        """Let go of what tifffile keeps."""
        self._tiff.close()

    def _is_stack(self) -> bool:
        """Whether the only directory stands for many pages that lie side by side after it."""
        try:
            series, page = self._tiff.series[0], self._tiff.pages[0]
            return bool(page.ndim and series.size > page.size and series.dataoffset is not None)
        except Exception:  # tifffile raises almost anything; reading the page says what is wrong
            return False

    def _plane(self, index: int) -> np.ndarray:
        page: Any = self._tiff.pages[0]
        dtype = np.dtype(page.dtype).newbyteorder(self._tiff.byteorder)
        size = int(np.prod(page.shape)) * dtype.itemsize
        require_picture(page.imagelength, page.imagewidth, 1, dtype.itemsize)
        assert self._virtual is not None
        self._file.seek((self._virtual.dataoffset or 0) + index * size)
        data = self._file.read(size)
        if len(data) < size:
            raise NotAnImage("damaged: the page is cut short")
        return np.frombuffer(data, dtype).reshape(page.shape)


class _Lent:
    """A file that tifffile reads from and does not close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = getattr(file, "name", "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """It is the caller's."""


def _is_for_the_eye(page: Any) -> bool:
    """Whether pillow keeps every value: 8 bits or fewer, or deep grey of the kinds it knows."""
    bits, samples = page.bitspersample, page.samplesperpixel
    if not isinstance(bits, int) or page.imagedepth != 1:
        return False
    if bits == 8 and samples in (1, 3) and _is_plain(page) and not _is_coloured(page):
        return False  # tifffile goes to a page at once
    alpha = any(each in _ALPHA for each in page.extrasamples)
    if bits <= 8 and page.sampleformat == 1:
        return samples in (1, 3) or samples - bool(alpha) in (1, 3) or int(page.photometric) == 5
    plain = samples == 1 and int(page.photometric) == 1
    return plain and (bits, int(page.sampleformat)) in ((16, 1), (32, 2), (32, 3))


def _is_plain(page: Any) -> bool:
    """Whether the values are grey or colour as they are, needing no table and no conversion."""
    return int(page.photometric) in (_MINISWHITE, 1, 2)


def _is_coloured(page: Any) -> bool:
    """Whether there is a profile to convert from, or packing that pillow alone undoes here."""
    return _PROFILE in page.tags or int(page.compression) not in _UNPACKED


def _measured(page: Any) -> np.ndarray:
    """The values of a page by tifffile: [H, W] or [H, W, C]."""
    channels = page.samplesperpixel
    if page.dtype is None:
        raise NotAnImage("values of a kind that is not read")
    require_picture(page.imagelength, page.imagewidth, channels, page.dtype.itemsize)
    try:
        values = page.asarray()
    except MemoryError:
        raise
    except Exception as error:
        if "imagecodecs" in str(error) and not is_installed("imagecodecs"):
            raise NotAnImage(f"compressed as {page.compression.name}: {needs('tiff')}") from None
        raise _no_image(error) from error
    if page.axes == "SYX":
        values = values.transpose(1, 2, 0)
    elif page.axes not in ("YX", "YXS"):
        raise NotAnImage(f"a page of dimensions {page.axes}, and {'YX, YXS and SYX'} are read")
    if int(page.photometric) == _MINISWHITE and values.dtype.kind == "u":
        values = (2**page.bitspersample - 1 - values.astype(np.int64)).astype(values.dtype)
    alpha = any(each in _ALPHA for each in page.extrasamples)
    if alpha and values.ndim == 3 and values.shape[2] in (2, 4) and values.dtype.kind == "u":
        values = over_white(values)
    orientation = page.tags.valueof(274, 1)
    return turned(np.atleast_3d(values), orientation if orientation in range(1, 9) else 1)


def _no_image(error: Exception) -> NotAnImage:
    said = str(error) or type(error).__name__
    if "not a TIFF" in said:
        return NotAnImage("no image")
    return NotAnImage(f"damaged: {said.splitlines()[0][:200]}".rstrip("."))


formats.add(
    Format(
        name="tiff",
        label="TIFF",
        blurb="1 to 64 bits, integers and floats, 1 to 16 channels; BigTIFF, OME, ImageJ stacks.",
        endings=(".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf"),
        library="Pillow and tifffile; imagecodecs for what few compress with",
        pictures="each page",
        build=TiffPages,
        part="page",
        several=has_pages,
        marks=((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        order=16,
    )
)
