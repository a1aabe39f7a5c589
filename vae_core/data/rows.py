"""N images written at their places in one `.npy` file, and a journal of which are there.

Whoever is killed on the way goes on from there: a journal line follows its images to the disk,
never the other way round. What gives no image leaves its place empty; the file has holes there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_core.data.arrays import with_channels
from vae_core.data.reading import why
from vae_core.data.stored import read_head

IMAGES, JOURNAL, ABOUT = "images.npy", "journal.jsonl", "about.json"
HASHES = "images.hashes.npy"
SYNC_EVERY_S = 2.0
"""Of work that a kill may cost. Each time waits for the disk."""


class Unwritten(Exception):
    """Nothing more can be written; the cause is the system's error."""


class Rows:
    """Images in the making in `folder`: what an earlier attempt left there is taken over.

    Starts with the channels of the first image; a colour image among grey ones widens the file.
    Plain writes, not a writable map: on a full disk these raise an `OSError` instead of a signal.

    done: bool [N], whose images are there or known to be none.
    skipped: why there is none, by index.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.done = np.zeros(count, bool)
        self.skipped: dict[int, str] = {}
        self._shape: tuple[int, ...] = ()
        self._offset = 0
        self._file: BinaryIO | None = None
        self._pending: list[list[Any]] = []
        self._synced = time.monotonic()
        if not self._take_over():
            self._forget()
        self._journal = (folder / JOURNAL).open("ab", buffering=0)

    def write(self, index: int, result: np.ndarray | str) -> None:
        """Add an image uint8 [C, H, W], all of one size, or why there is none.

        Raises:
            Unwritten: when the disk is full or fails.
        """
        if isinstance(result, str):
            self.skipped[index] = result
        else:
            with _writing():
                self._make_room_for(result.shape)
                self._put(index, result)
        self.done[index] = True
        if not self._pending or self._pending[-1][1] != index:
            self._pending.append([index, index, {}])
        self._pending[-1][1] = index + 1
        if isinstance(result, str):
            self._pending[-1][2][index] = result
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Put what was written on the disk, then say so in the journal.

        Raises:
            Unwritten: as `write`.
        """
        with _writing():
            if self._file is not None:
                os.fsync(self._file.fileno())
            lines = [json.dumps(each).encode() + b"\n" for each in self._pending]
            self._journal.write(b"".join(lines))
            os.fsync(self._journal.fileno())
        self._pending, self._synced = [], time.monotonic()

    def finish(self) -> None:
        """Say that all are there: from now on the folder is read, not written."""
        self.sync()
        self.close()
        about = {"count": len(self.done), "skipped": sorted(self.skipped.items())}
        working = self.folder / f"{ABOUT}.new"
        with _writing():
            with working.open("w") as file:
                json.dump(about, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(working, self.folder / ABOUT)
            (self.folder / JOURNAL).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files; what the journal names stays for the next attempt."""
        self._journal.close()
        if self._file is not None:
            self._file.close()

    # --- inside ------------------------------------------------------------------------------

    def _take_over(self) -> bool:
        """Go on where the journal ends; False where nothing fits."""
        try:
            lines = (self.folder / JOURNAL).read_bytes().split(b"\n")[:-1]
            for first, end, skipped in map(json.loads, lines):
                self.done[first:end] = True
                self.skipped |= {int(i): str(reason) for i, reason in skipped.items()}
            if self.done.sum() == len(self.skipped):  # there is no image yet
                return True
            self._file = (self.folder / IMAGES).open("r+b", buffering=0)
            (count, *shape), self._offset = read_head(self._file)
            self._shape = tuple(shape)
            return count == len(self.done)
        except (OSError, ValueError, TypeError, AttributeError, MemoryError):
            return False

    def _forget(self) -> None:
        self.done[:] = False
        self.skipped = {}
        self._shape, self._file = (), None
        for name in (ABOUT, HASHES, JOURNAL, IMAGES):
            (self.folder / name).unlink(missing_ok=True)

    def _make_room_for(self, shape: tuple[int, ...]) -> None:
        if self._file is None:
            self._file, self._offset = self._opened(self.folder / IMAGES, shape)
            self._shape = shape
        elif shape[0] > self._shape[0]:
            self._widen(shape)

    def _opened(self, path: Path, shape: tuple[int, ...]) -> tuple[BinaryIO, int]:
        """A file of N empty images, which takes no room on the disk yet."""
        file = path.open("w+b", buffering=0)
        head = {"descr": "|u1", "fortran_order": False, "shape": (len(self.done), *shape)}
        np.lib.format.write_array_header_1_0(file, head)
        offset = file.tell()
        file.truncate(offset + len(self.done) * int(np.prod(shape)))
        return file, offset

    def _put(self, index: int, image: np.ndarray) -> None:
        assert self._file is not None
        data = np.ascontiguousarray(with_channels(image, self._shape[0]))
        self._file.seek(self._offset + index * data.nbytes)
        room = data.data.cast("B")
        while room:
            room = room[self._file.write(room) :]

    def _widen(self, shape: tuple[int, ...]) -> None:
        """Make colour of grey: the images so far, into a file that then replaces this one."""
        narrow, old_shape, old_offset = self._file, self._shape, self._offset
        assert narrow is not None
        wide = self.folder / f"{IMAGES}.wide"
        self._file, self._offset = self._opened(wide, shape)
        self._shape = shape
        one = int(np.prod(old_shape))
        for index in np.flatnonzero(self.done).tolist():
            if index not in self.skipped:
                narrow.seek(old_offset + index * one)
                image = np.frombuffer(narrow.read(one), np.uint8).reshape(old_shape)
                self._put(index, image)
        narrow.close()
        os.fsync(self._file.fileno())
        os.replace(wide, self.folder / IMAGES)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritten(why(error)) from error


def about(folder: Path) -> tuple[int, dict[int, str]] | None:
    """How many were asked for and why some gave no image; None where it is not finished."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        said = json.loads((folder / ABOUT).read_text())
        return int(said["count"]), {int(i): str(reason) for i, reason in said["skipped"]}
    return None
