"""Arrays as numpy writes them: `.npy`, read by parts. Nothing in it can execute."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.numbers import MOST_BYTES, Layout, layout_of, require_picture


class ArrayHead:
    """What the head of a `.npy` says: the array's number type, order and shape."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            version = npy_format.read_magic(file)
            read = {
                (1, 0): npy_format.read_array_header_1_0,
                (2, 0): npy_format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f"its version is {version}")
            self.shape, self.fortran, self.dtype = read(file)
        except (ValueError, TypeError, EOFError, OverflowError, SyntaxError) as error:
            said = (str(error) or "no header").splitlines()[0][:200]
            raise NotAnImage(f"no array that can be read: {said}".rstrip(".")) from error
        self.offset = file.tell()

    @property
    def nbytes(self) -> int:
        """Of all numbers."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def in_fortran_order(self, data: bytes) -> np.ndarray:
        """The array, of all its bytes."""
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="F")

    def layout(self) -> Layout:
        """How it holds pictures.

        Raises:
            NotAnImage: when it holds none, or objects, which would have to be executed.
        """
        if self.dtype.hasobject:
            raise NotAnImage("an array of Python objects, which is never loaded; save numbers")
        if self.dtype.kind not in "buif":
            raise NotAnImage(f"an array of {self.dtype}, which are no numbers of pixels")
        layout = layout_of(self.shape)
        require_picture(*layout.shape, self.dtype.itemsize)
        if self.fortran and self.nbytes > MOST_BYTES:
            raise NotAnImage(
                f"an array in Fortran's order of more than {MOST_BYTES >> 20} MB; save "
                "np.ascontiguousarray of it"
            )
        return layout


class NpyRows:
    """The pictures of an open `.npy`. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head = ArrayHead(file)
        self._layout = self._head.layout()
        self._whole: np.ndarray | None = None

    def contents(self) -> Contents:
        """How many there are; fewer than its head says where it is cut short."""
        whole = self._file.seek(0, 2) - self._head.offset
        needed = self._head.nbytes
        if whole < needed:
            raise NotAnImage(f"damaged: it is cut short, {whole:,} of {needed:,} bytes are there")
        return Contents(self._layout.count)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """One of them: [H, W, C]."""
        if self._head.fortran:
            return self._strided(index)
        size = int(np.prod(self._layout.shape)) * self._head.dtype.itemsize
        self._file.seek(self._head.offset + index * size)
        data = self._file.read(size)
        if len(data) < size:
            raise NotAnImage("damaged: it is cut short")
        return self._layout.upright(np.frombuffer(data, self._head.dtype))

    def close(self) -> None:
        """Forget what was read."""
        self._whole = None

    def _strided(self, index: int) -> np.ndarray:
        """In Fortran's order a picture lies all over the file, which is read whole."""
        if self._whole is None:
            self._file.seek(self._head.offset)
            self._whole = self._head.in_fortran_order(self._file.read(self._head.nbytes))
        return self._layout.upright(self._whole[self._layout.place(index)])


formats.add(
    Format(
        name="npy",
        label="NumPy .npy",
        blurb="Arrays [N, H, W], [N, H, W, C], [N, C, H, W], [H, W, C] and [H, W] of numbers.",
        endings=(".npy",),
        library="NumPy",
        pictures="each row of the array",
        build=NpyRows,
        part="row",
        several=True,
        order=20,
    )
)
