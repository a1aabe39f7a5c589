"""N images in `.npy` files: read when they are asked for, and written by whoever may be killed.

One file, `images.npy`, or shards of 2 GB, `images-00003-of-00058.npy`, each an ordinary file for
anyone: no drive and no program has to take a file of hundreds of GB.

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_core.data.hashes import hash_rows, hashed
from vae_core.data.windows import IN_MEMORY
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.imaging.reading import reason_of
from vae_core.imaging.resize import with_channels

IMAGES, JOURNAL, SUMMARY = "images.npy", "journal.jsonl", "about.json"
SHARDS = "images-?????-of-?????.npy"
SHARD = 2**31
"""Bytes of images in one file at most, as they are when the first is written."""

HASHES = "images.hashes.npy"
WIDE = ".wide"
BOXES = "images.boxes.npy"
"""int16 [N, 4] beside images with padding: where in each of them the picture lies."""

BRIDGED = 2**16
"""Bytes between two images that are read along: a new request costs more."""

MOST_PIECES = 1000
"""Pieces of memory that one request may fill; POSIX promises 1024 on Linux."""

SEEKERS = 8
"""Requests at once for images strewn over files that memory does not keep."""

SYNC_EVERY_S = 2.0
"""Of work that a kill may cost. Each time waits for the disk."""


class StoredImages:
    """The images of a `.npy` file or its shards: uint8 [N, C, H, W], C order. Any thread may read
    them.

    Args:
        path: of the file that they would be if they were one.
        locks: kept for as long as the images are, such as that of their place in the cache.

    boxes: int16 [N, 4], (top, left, bottom, right) of the picture in each image, beside which there
        is padding; None where there is none in any.

    Raises:
        ValueError: when the files are no such arrays, one is missing, or one is cut short.
        OSError: when they cannot be read.
    """

    def __init__(self, path: Path, locks: Sequence[object] = ()) -> None:
        self.path = path
        self._locks = tuple(locks)
        self._shards = [_Shard(each) for each in shards_of(path)]
        first, last = self._shards[0], self._shards[-1]
        self._rows = first.shape[0]
        for each in self._shards:
            same = each.shape[1:] == first.shape[1:]
            if not same or (each is not last and each.shape[0] != self._rows):
                raise ValueError(f"{each.path} holds other images than {first.path.name}")
        count = self._rows * (len(self._shards) - 1) + last.shape[0]
        self.shape: tuple[int, int, int, int] = (count, *first.shape[1:])
        self._one = int(np.prod(self.shape[1:]))
        self._seekers: ThreadPoolExecutor | None = None
        if count * self._one > IN_MEMORY:
            self._seekers = ThreadPoolExecutor(SEEKERS, "images")
        self.boxes: np.ndarray | None = None
        with suppress(FileNotFoundError):
            self.boxes = np.load(path.with_suffix(".boxes.npy"), allow_pickle=False)
            if self.boxes.shape != (self.shape[0], 4) or self.boxes.dtype != np.int16:
                raise ValueError(f"{path.parent} holds no boxes")

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller.

        Raises:
            UserError: when the files are no longer what they were, or their disk fails.
        """
        count = self.shape[0]
        if len(indices) and not (-count <= indices.min() and indices.max() < count):
            raise IndexError(f"there are {count} images, not all of {indices}")
        indices = np.where(indices < 0, indices + count, indices)
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        # Images that lie side by side, or nearly, are read together.
        step = np.diff(indices)
        apart = (step < 1) | (step > 1 + BRIDGED // self._one)
        apart |= np.diff(indices // self._rows) != 0
        cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(indices)]
        spans = [(a, b) for a, b in pairwise(cuts) if b > a]

        def read(some: Sequence[tuple[int, int]]) -> None:
            for a, b in some:
                self._read(out[a:b], indices[a:b])

        if self._seekers is None or len(spans) < 2 * SEEKERS:
            read(spans)
        else:
            list(self._seekers.map(read, (spans[i::SEEKERS] for i in range(SEEKERS))))
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

    def _read(self, out: np.ndarray, rows: np.ndarray) -> None:
        """Fill `out` [n, C, H, W] with the images at `rows`, ascending and close together."""
        number, first = divmod(int(rows[0]), self._rows)
        flat = out.reshape(-1).data
        pieces = [flat] if len(rows) == 1 else self._around_gaps(flat, rows)
        try:
            self._shards[number].read(pieces, first * self._one)
        except OSError as error:
            raise UserError(
                f"The prepared images in {self.path.parent} cannot be read any more: "
                f"{reason_of(error)}. Remove that folder and try again; they are prepared anew."
            ) from error

    def _around_gaps(self, flat: memoryview, rows: np.ndarray) -> list[memoryview]:
        """What is read in one go: parts of `flat` for the images at `rows`, and for those between
        them room that nobody looks at."""
        between = memoryview(bytearray(BRIDGED))
        pieces: list[memoryview] = []
        cuts = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
        for a, b in pairwise((0, *cuts, len(rows))):
            if a:
                pieces.append(between[: int(rows[a] - rows[a - 1] - 1) * self._one])
            pieces.append(flat[a * self._one : b * self._one])
        return pieces


class _Shard:
    """One file of images, open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._file = path.open("rb", buffering=0)
        self.shape, self._offset = read_header(self._file)
        if os.fstat(self._file.fileno()).st_size < self._offset + int(np.prod(self.shape)):
            raise ValueError(f"{path} is cut short")

    def read(self, pieces: list[memoryview], place: int) -> None:
        """Fill the pieces with what lies there from byte `place` of the first image on.

        Raises:
            OSError: when not all of it comes.
        """
        place += self._offset
        while pieces:
            count = self._read_at(pieces[:MOST_PIECES], place)
            if not count:
                raise OSError("it was cut short")
            place += count
            while pieces and count >= len(pieces[0]):
                count -= len(pieces.pop(0))
            if count:
                pieces[0] = pieces[0][count:]

    def _read_at(self, pieces: list[memoryview], place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), pieces, place)
        with self._turn:
            self._file.seek(place)
            return self._file.readinto(pieces[0])


def shards_of(path: Path) -> list[Path]:
    """The file of images at `path`, or the shards beside it that stand for it, in their order.

    Raises:
        ValueError: when some of these are missing.
        OSError: when there is neither.
    """
    found = sorted(path.parent.glob(SHARDS)) if not path.exists() else [path]
    if not found:
        raise FileNotFoundError(f"there are no images at {path}")
    if found != [path] and [each.name for each in found] != shard_names(len(found)):
        raise ValueError(f"some of the images in {path.parent} are missing")
    return found


def shard_names(count: int) -> list[str]:
    """What so many files of images are called."""
    return [f"images-{i:05}-of-{count:05}.npy" for i in range(count)] if count > 1 else [IMAGES]


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

    Starts with the channels of the first image; a colour image among grey ones widens the files.
    Of images in shards the hashes are kept as they come: to read them all again takes long.
    Plain writes, not a writable map: on a full disk these raise an `OSError` instead of a signal.

    done: bool [N], whose images are there or known to be none.
    skipped: why there is none, by index.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.done = np.zeros(count, bool)
        self.skipped: dict[int, str] = {}
        self._shape: tuple[int, ...] = ()
        self._rows = count  # of a shard
        self._shards: list[tuple[BinaryIO, int]] = []  # and where its images begin
        self._beside: dict[str, BinaryIO] = {}
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
                    self._put_row(BOXES, index, np.asarray(box, np.int16))
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
            for file in self._files():
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
        for file in (self._journal, *self._files()):
            file.close()

    def _files(self) -> Iterator[BinaryIO]:
        yield from (file for file, _ in self._shards)
        yield from self._beside.values()

    def _resume(self) -> bool:
        """Go on where the journal ends; False where nothing fits."""
        try:
            lines = (self.folder / JOURNAL).read_bytes().split(b"\n")[:-1]
            for first, end, skipped in map(json.loads, lines):
                self.done[first:end] = True
                self.skipped |= {int(i): str(reason) for i, reason in skipped.items()}
            if self.done.sum() == len(self.skipped):  # there is no image yet
                return True
            total = 0
            for path in shards_of(self.folder / IMAGES):
                file = path.open("r+b", buffering=0)
                (count, *shape), offset = read_header(file)
                self._shards.append((file, offset))
                if len(self._shards) == 1:
                    self._rows, self._shape = count, tuple(shape)
                if self._shape != tuple(shape):
                    return False  # killed while it was widened
                total += count
            if len(self._shards) > 1:
                self._beside[HASHES] = (self.folder / HASHES).open("r+b", buffering=0)
            return total == len(self.done)
        except (OSError, ValueError, TypeError, AttributeError, MemoryError):
            return False

    def _reset(self) -> None:
        self.done[:] = False
        self.skipped = {}
        for file in self._files():
            file.close()
        self._shape, self._shards, self._beside = (), [], {}
        for name in (SUMMARY, HASHES, JOURNAL, IMAGES, BOXES):
            (self.folder / name).unlink(missing_ok=True)
        for path in self.folder.glob(SHARDS):
            path.unlink()

    def _prepare_for(self, shape: tuple[int, ...]) -> None:
        if not self._shards:
            self._rows = max(1, min(SHARD // int(np.prod(shape)), len(self.done)))
            self._shards, self._shape = self._create(shape), shape
        elif 1 not in (shape[0], own := self._shape[0]) and shape[0] != own:
            raise ValueError(f"it has {shape[0]} channels, and others here have {own}")
        elif shape[0] > own:
            self._widen(shape)

    def _paths(self) -> list[Path]:
        return [self.folder / name for name in shard_names(-(-len(self.done) // self._rows))]

    def _create(self, shape: tuple[int, ...], ending: str = "") -> list[tuple[BinaryIO, int]]:
        """Files of N empty images, which take no room on the disk yet."""
        shards: list[tuple[BinaryIO, int]] = []
        for number, path in enumerate(self._paths()):
            count = min(self._rows, len(self.done) - number * self._rows)
            file = path.with_name(path.name + ending).open("w+b", buffering=0)
            head = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
            np.lib.format.write_array_header_1_0(file, head)
            shards.append((file, file.tell()))
            file.truncate(file.tell() + count * int(np.prod(shape)))
        return shards

    def _put(self, index: int, image: np.ndarray) -> None:
        data = np.ascontiguousarray(with_channels(image, self._shape[0]))
        number, row = divmod(index, self._rows)
        file, offset = self._shards[number]
        file.seek(offset + row * data.nbytes)
        room = data.data.cast("B")
        while room:
            room = room[file.write(room) :]
        if len(self._shards) > 1:
            self._put_row(HASHES, index, hash_rows(data[None])[0])

    def _put_row(self, name: str, index: int, row: np.ndarray) -> None:
        """One row of an array [N, …] in a file beside the images."""
        if name not in self._beside:
            path = self.folder / name
            if not path.exists():
                np.save(path, np.zeros((len(self.done), *row.shape), row.dtype))
            self._beside[name] = path.open("r+b", buffering=0)
        file = self._beside[name]
        file.seek((index - len(self.done)) * row.nbytes, os.SEEK_END)
        file.write(row.tobytes())

    def _widen(self, shape: tuple[int, ...]) -> None:
        """Make colour of grey: the images so far, into files that then replace these."""
        narrow, old_shape = self._shards, self._shape
        self._shards, self._shape = self._create(shape, WIDE), shape
        one = int(np.prod(old_shape))
        for index in np.flatnonzero(self.done).tolist():
            if index not in self.skipped:
                number, row = divmod(index, self._rows)
                file, offset = narrow[number]
                file.seek(offset + row * one)
                image = np.frombuffer(file.read(one), np.uint8).reshape(old_shape)
                self._put(index, image)
        for file, _ in narrow:
            file.close()
        for file, _ in self._shards:
            os.fsync(file.fileno())
        for path in self._paths():
            os.replace(path.with_name(path.name + WIDE), path)


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
