"""N images in one `.npy` file: read when they are asked for, and written by whoever may be killed.

Read, not mapped: a map of a file that somebody cuts short, or of a disk that fails, ends the
process with a signal and no word. Nor have pages of a map to be given back to stay few.

Written at their places, with a journal of which are there. Whoever is killed on the way goes on
from there: a journal line follows its images to the disk, never the other way round. What gives no
image leaves its place empty; the file has holes there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_core.data.hashes import hashed
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.imaging.reading import reason_of
from vae_core.imaging.resize import with_channels

IMAGES, JOURNAL, SUMMARY = "images.npy", "journal.jsonl", "about.json"
HASHES = "images.hashes.npy"
BOXES = "images.boxes.npy"
"""int16 [N, 4] beside images with padding: where in each of them the picture lies."""

SYNC_EVERY_S = 2.0
"""Of work that a kill may cost. Each time waits for the disk."""


class StoredImages:
    """The images of a `.npy` file: uint8 [N, C, H, W], C order. Any thread may read them.

    Args:
        locks: kept for as long as the images are, such as that of their place in the cache.

    boxes: int16 [N, 4], (top, left, bottom, right) of the picture in each image, beside which there
        is padding; None where there is none in any.

    Raises:
        ValueError: when the file is no such array or is cut short.
        OSError: when it cannot be read.
    """

    def __init__(self, path: Path, locks: Sequence[object] = ()) -> None:
        self.path = path
        self._locks = tuple(locks)
        self._turn = threading.Lock()
        self._file = path.open("rb", buffering=0)
        self.shape, self._offset = read_header(self._file)
        if os.fstat(self._file.fileno()).st_size < self._offset + int(np.prod(self.shape)):
            raise ValueError(f"{path} is cut short")
        self.boxes: np.ndarray | None = None
        with suppress(FileNotFoundError):
            self.boxes = np.load(path.with_suffix(".boxes.npy"), allow_pickle=False)
            if self.boxes.shape != (self.shape[0], 4) or self.boxes.dtype != np.int16:
                raise ValueError(f"{path.parent} holds no boxes")

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
        # A full disk costs time at the next start, and nothing else.
        with suppress(OSError), replacing(path) as file:
            np.save(file, found)
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
                f"{reason_of(error)}. Remove that folder and try again; they are prepared anew."
            ) from error

    def _read_at(self, room: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [room], place)
        with self._turn:
            self._file.seek(place)
            return self._file.readinto(room)


def read_header(file: BinaryIO) -> tuple[tuple[int, int, int, int], int]:
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


class WriteFailed(Exception):
    """Nothing more can be written; the cause is the system's error."""


class NpyWriter:
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
        self._boxes: BinaryIO | None = None
        self._pending: list[list[Any]] = []
        self._synced = time.monotonic()
        if not self._resume():
            self._reset()
        self._journal = (folder / JOURNAL).open("ab", buffering=0)

    def write(self, index: int, result: np.ndarray | str, box: Sequence[int] | None = None) -> None:
        """Add an image uint8 [C, H, W], all of one size, or why there is none.

        Args:
            box: where in it the picture lies; for all of the images or for none.

        Raises:
            WriteFailed: when the disk is full or fails.
            ValueError: when its channels and those of the others cannot become the same.
        """
        if isinstance(result, str):
            self.skipped[index] = result
        else:
            with _writing():
                self._prepare_for(result.shape)
                self._put(index, result)
                if box is not None:
                    self._put_box(index, box)
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
            WriteFailed: as `write`.
        """
        with _writing():
            for file in (self._file, self._boxes):
                if file is not None:
                    os.fsync(file.fileno())
            lines = [json.dumps(each).encode() + b"\n" for each in self._pending]
            self._journal.write(b"".join(lines))
            os.fsync(self._journal.fileno())
        self._pending, self._synced = [], time.monotonic()

    def finish(self) -> None:
        """Say that all are there: from now on the folder is read, not written."""
        self.sync()
        self.close()
        summary = {"count": len(self.done), "skipped": sorted(self.skipped.items())}
        with _writing():
            with replacing(self.folder / SUMMARY) as file:
                file.write(json.dumps(summary).encode())
                file.flush()
                os.fsync(file.fileno())
            (self.folder / JOURNAL).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files; what the journal names stays for the next attempt."""
        for file in (self._journal, self._file, self._boxes):
            if file is not None:
                file.close()

    def _resume(self) -> bool:
        """Go on where the journal ends; False where nothing fits."""
        try:
            lines = (self.folder / JOURNAL).read_bytes().split(b"\n")[:-1]
            for first, end, skipped in map(json.loads, lines):
                self.done[first:end] = True
                self.skipped |= {int(i): str(reason) for i, reason in skipped.items()}
            if self.done.sum() == len(self.skipped):  # there is no image yet
                return True
            self._file = (self.folder / IMAGES).open("r+b", buffering=0)
            (count, *shape), self._offset = read_header(self._file)
            self._shape = tuple(shape)
            return count == len(self.done)
        except (OSError, ValueError, TypeError, AttributeError, MemoryError):
            return False

    def _reset(self) -> None:
        self.done[:] = False
        self.skipped = {}
        self._shape, self._file = (), None
        for name in (SUMMARY, HASHES, JOURNAL, IMAGES, BOXES):
            (self.folder / name).unlink(missing_ok=True)

    def _prepare_for(self, shape: tuple[int, ...]) -> None:
        if self._file is None:
            self._file, self._offset = self._create(self.folder / IMAGES, shape)
            self._shape = shape
        elif 1 not in (shape[0], own := self._shape[0]) and shape[0] != own:
            raise ValueError(f"it has {shape[0]} channels, and others here have {own}")
        elif shape[0] > own:
            self._widen(shape)

    def _create(self, path: Path, shape: tuple[int, ...]) -> tuple[BinaryIO, int]:
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

    def _put_box(self, index: int, box: Sequence[int]) -> None:
        if self._boxes is None:
            path = self.folder / BOXES
            if not path.exists():
                np.save(path, np.zeros((len(self.done), 4), np.int16))
            self._boxes = path.open("r+b", buffering=0)
        row = np.asarray(box, np.int16)
        self._boxes.seek(index * row.nbytes - len(self.done) * row.nbytes, os.SEEK_END)
        self._boxes.write(row.data)

    def _widen(self, shape: tuple[int, ...]) -> None:
        """Make colour of grey: the images so far, into a file that then replaces this one."""
        narrow, old_shape, old_offset = self._file, self._shape, self._offset
        assert narrow is not None
        wide = self.folder / f"{IMAGES}.wide"
        self._file, self._offset = self._create(wide, shape)
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
        raise WriteFailed(reason_of(error)) from error


def read_summary(folder: Path) -> tuple[int, dict[int, str]] | None:
    """How many were asked for and why some gave no image; None where it is not finished."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        summary = json.loads((folder / SUMMARY).read_text())
        return int(summary["count"]), {int(i): str(reason) for i, reason in summary["skipped"]}
    return None
