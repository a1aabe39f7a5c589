"""Images in a file, read when they are asked for, so that few are in memory however many there are.

Read, not mapped: a map of a file that somebody cuts short, or of a disk that fails, ends the
process with a signal and no word. Nor have pages of a map to be given back to stay few.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vae_core.data.hashes import hashed
from vae_core.data.reading import why
from vae_core.errors import UserError
from vae_core.files import new_name


class StoredImages:
    """The images of a `.npy` file: uint8 [N, C, H, W], C order. Any thread may read them.

    Args:
        held: what is held for as long as the images are, such as their place in the cache.

    Raises:
        ValueError: when the file is no such array or is cut short.
        OSError: when it cannot be read.
    """

    def __init__(self, path: Path, held: Sequence[object] = ()) -> None:
        self.path = path
        self._held = tuple(held)
        self._turn = threading.Lock()
        self._file = path.open("rb", buffering=0)
        self.shape, self._offset = read_head(self._file)
        if os.fstat(self._file.fileno()).st_size < self._offset + int(np.prod(self.shape)):
            raise ValueError(f"{path} is cut short")

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller.

        Raises:
            UserError: when the file is no longer what it was, or its disk fails.
        """
        count = self.shape[0]
        if len(indices) and not (-count <= indices.min() and indices.max() < count):
            raise IndexError(f"there are {count} images, not all of {indices}")
        indices = np.where(indices < 0, indices + count, indices)
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        # Images that lie side by side are read together.
        starts = np.append(0, np.flatnonzero(np.diff(indices) != 1) + 1)
        ends = np.append(starts[1:], len(indices)).tolist()
        for start, end in zip(starts.tolist(), ends, strict=True):
            if end > start:
                self._read(out[start:end], int(indices[start]))
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

    def _read(self, out: np.ndarray, first: int) -> None:
        """Fill `out` [n, C, H, W] with the images from `first` on."""
        room = out.data.cast("B")
        place = self._offset + first * (out.nbytes // len(out))
        try:
            while room:
                count = self._read_at(room, place)
                if not count:
                    raise OSError("it was cut short")
                room, place = room[count:], place + count
        except OSError as error:
            raise UserError(
                f"The prepared images in {self.path.parent} cannot be read any more: "
                f"{why(error)}. Remove that folder and try again; they are prepared anew."
            ) from error

    def _read_at(self, room: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [room], place)
        with self._turn:
            self._file.seek(place)
            return self._file.readinto(room)


def read_head(file: BinaryIO) -> tuple[tuple[int, int, int, int], int]:
    """(N, C, H, W) of a `.npy` file of images, and where the first one begins.

    Raises:
        ValueError: when it is no such array.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{file.name} has the unexpected .npy version {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype != np.uint8 or len(shape) != 4:
        raise ValueError(f"{file.name} holds no images")
    return (shape[0], shape[1], shape[2], shape[3]), file.tell()
