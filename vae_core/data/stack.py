"""Writing images one after another into a `.npy` file whose length is only known at the end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from vae_core.data.arrays import with_channels


class StackWriter:
    """Appends uint8 images [C, H, W] of one size to `path`; `close` makes it a `.npy` file.

    Starts with the channels of the first image; a colour image among grey ones widens the file.
    Plain writes, not a writable map: on a full disk these raise an `OSError` instead of a signal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._shape: tuple[int, ...] = ()
        self._file = path.open("w+b", buffering=1 << 20)

    def append(self, image: np.ndarray) -> None:
        """Add one image."""
        if not self._shape:
            self._shape = image.shape
            self._write_header()
        elif image.shape[0] > self._shape[0]:
            self._widen(image.shape[0])
        self._file.write(np.ascontiguousarray(with_channels(image, self._shape[0])).data)
        self.count += 1

    def close(self) -> None:
        """Write the final header and put everything on disk."""
        if self._shape:
            body = self._file.tell()
            self._file.seek(0)
            self._write_header()
            self._file.seek(body)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Give up; the file stays to be removed."""
        self._file.close()

    def _write_header(self) -> None:
        # numpy leaves room in the header for a first axis of 21 digits: its length never changes.
        head = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, head)

    def _widen(self, channels: int) -> None:
        narrow, shape, count = self._file, self._shape, self.count
        wide = self.path.with_name(self.path.name + ".wide")
        narrow.flush()
        self._file = wide.open("w+b", buffering=1 << 20)
        self._shape, self.count = (), 0
        with narrow:
            narrow.seek(0)
            np.lib.format.read_magic(narrow)
            np.lib.format.read_array_header_1_0(narrow)
            for _ in range(count):
                image = np.frombuffer(narrow.read(int(np.prod(shape))), np.uint8).reshape(shape)
                self.append(with_channels(image, channels))
        os.replace(wide, self.path)
