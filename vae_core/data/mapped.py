"""Images in a file, memory-mapped, whose resident part stays small however many are read."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from vae_core.data.hashes import hashed
from vae_core.files import new_name

TOGETHER = 8
"""Images read before their pages are given back. With a batch of 512 at once, 12 KB each, 50 MB
were resident, and it was no faster."""


class MappedImages:
    """The images of a `.npy` file: uint8 [N, C, H, W], C order.

    Pages of a map count as resident once they were read, and Linux maps those around them too:
    20 000 images of 12 KB at random places of a 2.4 GB file made 1.7 GB resident. So they are
    given back after every few images, which costs some µs an image. They stay in the system's
    page cache, which is no process's resident set, as long as memory is free.

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

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for start in range(0, len(indices), TOGETHER):
            few = slice(start, start + TOGETHER)
            out[few] = self._array[indices[few]]
            if hasattr(mmap, "MADV_DONTNEED"):  # Windows trims by itself and has no such call
                self._map.madvise(mmap.MADV_DONTNEED)
        return out

    def hashes(self) -> np.ndarray:
        """uint64 [N], equal where the pixels are equal; kept beside the file once it is known."""
        path = self.path.with_suffix(".hashes.npy")
        with suppress(OSError, ValueError, EOFError):
            kept: np.ndarray = np.load(path, allow_pickle=False)
            if kept.shape == self.shape[:1] and kept.dtype == np.uint64:
                return kept
        found = hashed(self)
        with suppress(OSError):  # a full disk costs time at the next start, and nothing else
            handle, working = new_name(path.parent, ".hashes-")
            try:
                with os.fdopen(handle, "wb") as file:
                    np.save(file, found)
                os.replace(working, path)
            finally:
                working.unlink(missing_ok=True)
        return found
