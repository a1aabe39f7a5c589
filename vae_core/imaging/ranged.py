"""A part of an open file as a file of its own."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, BinaryIO, cast


class _Range(io.RawIOBase):
    def __init__(self, file: BinaryIO, start: int, size: int, turn: threading.Lock) -> None:
        self._file, self._start, self._size, self._turn = file, start, size, turn
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + place, 0)
        return self._at

    def readinto(self, room: Any) -> int:
        count = max(min(len(room), self._size - self._at), 0)
        with self._turn:
            self._file.seek(self._start + self._at)
            data = self._file.read(count)
        room[: len(data)] = data
        self._at += len(data)
        return len(data)


def ranged(file: BinaryIO, start: int, size: int, turn: threading.Lock) -> BinaryIO:
    """The `size` bytes of `file` from `start` on; `turn` is held while it is read."""
    return cast(BinaryIO, io.BufferedReader(_Range(file, start, size, turn), 4096))
