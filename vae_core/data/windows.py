"""Images that do not fit in memory: an order of an epoch that a disk can follow, and who reads it.

A disk gives a megabyte in one piece ten times as fast as in images strewn over it
(`python -m benchmarks.large`). So an epoch shuffles *blocks*, images that lie side by side, takes
as many of them as memory has room for, a *window*, and shuffles the images in it. A batch of B
images takes one out of each of B equal *lanes* of its window (stratified sampling: Cochran,
Sampling Techniques, 1977, chapter 5), so that neighbours on the disk hardly meet in it; and a
process that trains on the same share of every batch reads that share of the blocks and no others.
"""

from __future__ import annotations

import math
import mmap
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np

from vae_core.data.dataset import Images

BLOCK, WINDOW = 2**20, 2**29
"""Bytes of images. Two windows are in memory: one that is learned from, one that is being read."""

IN_MEMORY = 8_000_000_000
"""Bytes of images that a usual computer's memory keeps once they are read. The same everywhere, so
that an epoch has the same order everywhere."""

READERS = 4
"""Blocks that are asked for at once: with fewer a disk waits for its reader."""


def window_batches(image_bytes: int, batch_size: int) -> int:
    """How many batches of so many images a window holds."""
    return max(1, WINDOW // (image_bytes * batch_size))


def in_windows(
    drawn: np.ndarray, image_bytes: int, batch_size: int, random: np.random.Generator
) -> np.ndarray:
    """The images of an epoch in an order in which they can be read a window at a time.

    Args:
        drawn: which of the images, int64 [N], in any order, some perhaps several times.

    Returns:
        The same ones, int64 [N]: batch after batch, window after window.
    """
    drawn = np.sort(drawn)
    block = max(1, BLOCK // image_bytes)
    blocks = np.arange(0, len(drawn), block)
    random.shuffle(blocks)
    order = np.concatenate([drawn[start : start + block] for start in blocks.tolist()])
    size = batch_size * window_batches(image_bytes, batch_size)
    for start in range(0, len(order), size):
        window = order[start : start + size]
        window[:] = _dealt(window, batch_size, random)
    return order


def _dealt(window: np.ndarray, batch_size: int, random: np.random.Generator) -> np.ndarray:
    """The images of a window, batch after batch: each has one of every lane, in their order."""
    count = len(window)
    lane = np.arange(count) * batch_size // count  # where they come out uneven, evenly so
    window = window[np.lexsort((random.permutation(count), lane))]
    turn = np.arange(count) - np.searchsorted(lane, lane)
    return window[np.argsort(turn, kind="stable")]


class WindowReader:
    """The images of a part by batches that were announced, read a window ahead, beside the steps.

    A batch may be asked for share by share. Whatever else is asked for is read as it ever was.
    """

    def __init__(self, images: Images, batch_size: int) -> None:
        self._images = images
        self.shape = images.shape
        self._size = window_batches(math.prod(self.shape[1:]), batch_size)
        self._readers = ThreadPoolExecutor(READERS, "window")
        self._rooms = [_room(0, self.shape[1:]) for _ in range(2)]
        self._coming: deque[Sequence[np.ndarray]] = deque()
        self._now: _Window | None = None
        self._next: _Window | None = None
        self._turn = threading.Lock()  # a batch may still be on its way when others are announced

    def expect(self, batches: Sequence[np.ndarray], first: int = 0) -> None:
        """Announce the batches to come, each as indices, in their order.

        Args:
            first: which batch of its epoch the first of them is.
        """
        cuts = range(self._size - first % self._size, len(batches), self._size)
        spans = pairwise((0, *cuts, len(batches)))
        with self._turn:
            for window in (self._now, self._next):
                if window is not None:
                    window.abandon()
            self._coming = deque(batches[a:b] for a, b in spans if b > a)
            self._now, self._next = None, self._read_on()

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller.

        Raises:
            UserError: when they cannot be read.
        """
        with self._turn:
            if self._now is None or not self._now.holds(indices):
                if self._next is None or not self._next.holds(indices):
                    return self._images.gather(indices)
                self._now, self._next = self._next, None
                self._next = self._read_on()
            return self._now.gather(indices)

    def _read_on(self) -> _Window | None:
        """Begin to read the next window, into the room of the one before the last."""
        if not self._coming:
            return None
        rows = np.unique(np.concatenate(self._coming.popleft()))
        self._rooms.reverse()
        if len(self._rooms[0]) < len(rows):
            self._rooms[0] = _room(len(rows), self.shape[1:])
        return _Window(self._images, rows, self._rooms[0][: len(rows)], self._readers)


class _Window:
    """Images `rows`, in ascending order, on their way into a room of their own."""

    def __init__(
        self,
        images: Images,
        rows: np.ndarray,
        room: np.ndarray,
        readers: ThreadPoolExecutor,
    ) -> None:
        self._images, self._rows, self._room = images, rows, room
        piece = max(1, BLOCK // math.prod(room.shape[1:]))
        self._reading: list[Future[None]] = [
            readers.submit(self._read, slice(start, start + piece))
            for start in range(0, len(rows), piece)
        ]

    def holds(self, indices: np.ndarray) -> bool:
        """Whether all of these are among them: a batch, or a share of one."""
        places = np.minimum(np.searchsorted(self._rows, indices), len(self._rows) - 1)
        return bool((self._rows[places] == indices).all())

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Some of them, once all are there."""
        for each in self._reading:
            each.result()
        self._reading = []
        return np.take(self._room, np.searchsorted(self._rows, indices), axis=0)

    def abandon(self) -> None:
        """Nobody reads into the room any more."""
        for each in self._reading:
            each.cancel()
        wait(self._reading)

    def _read(self, piece: slice) -> None:
        if threading.main_thread().is_alive():  # a process that ends waits for what is under way
            self._room[piece] = self._images.gather(self._rows[piece])


def _room(count: int, shape: Sequence[int]) -> np.ndarray:
    """Memory for so many images [count, C, H, W], beside the allocator's, which keeps what it gets
    (`vae_core.process`)."""
    memory = mmap.mmap(-1, max(1, count * math.prod(shape)))
    return np.frombuffer(memory, np.uint8, count * math.prod(shape)).reshape(count, *shape)
