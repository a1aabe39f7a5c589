"""Images in a file, memory-mapped, whose resident part stays small however many are read."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

RELEASE_AFTER = 32 * 2**20
"""Bytes that may become resident before they are given back to the system. Small, since giving
back often costs nothing that could be measured and torch alone takes most of a GB."""

_AROUND = 256 * 2**10
"""What one image makes resident besides itself: on a page fault Linux maps the pages around it
too. Measured with 12 KB images at random places of a 2.4 GB file."""


class MappedImages:
    """The images of a `.npy` file: uint8 [N, C, H, W], C order.

    Pages that were read count as resident until they are given back; after every `RELEASE_AFTER`
    bytes they are. They stay in the system's page cache as long as memory is free.

    Raises:
        ValueError: when the file is no such array or is cut short.
        OSError: when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"{path} has the unexpected .npy version {version}")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
            if fortran or dtype != np.uint8 or len(shape) != 4:
                raise ValueError(f"{path} holds no images")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(shape))
        if len(self._map) < offset + count:
            raise ValueError(f"{path} is cut short")
        self.shape = (shape[0], shape[1], shape[2], shape[3])
        self._array = np.frombuffer(self._map, np.uint8, count, offset).reshape(shape)
        self._resident = 0

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""
        out = np.take(self._array, indices, axis=0)
        self._resident += out.nbytes + _AROUND * len(out)
        if self._resident > RELEASE_AFTER:
            self._release()
        return out

    def _release(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # Windows trims by itself and has no such call
            self._map.madvise(mmap.MADV_DONTNEED)
        self._resident = 0
