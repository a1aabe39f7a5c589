"""Whole files, read with bounds: ordinary ones only, and either every byte or an error.

What could not be read says nothing of what the file holds, and what was read whole says all. So
nobody who reads here takes a drive that is gone for a file that is bad.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

MOST_BYTES = 200_000_000
"""Of one picture file: 16-bit scans have less."""

CHANGES = "it changes while it is being read"

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in ns: another one where the content is another."""


class Refused(Exception):
    """What lies there is not read at all; the message says why in a few words."""


@dataclass(frozen=True)
class Skip:
    """A file that gives no picture, and why in a few words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Place:
    """A file that is read by parts, where it lies, and what it was known by when it was listed."""

    path: str
    stamp: Stamp

    def open(self) -> BinaryIO:
        """Open it.

        Raises:
            Refused, OSError: as `open_regular`, and when it is no longer what it was.
        """
        watched = Watched(self)
        try:
            watched.require_whole()
        except OSError:
            watched.close()
            raise
        return cast(BinaryIO, io.BufferedReader(watched, 2**16))


class Watched(io.RawIOBase):
    """An open file that remembers what went wrong while it was read: whoever parses what comes may
    take a drive that is gone for a file that is damaged.

    Args:
        kept: whether it stays open; else it is opened for each part that is read.
    """

    def __init__(self, place: Place, kept: bool = True) -> None:
        self.stamp, self.name = place.stamp, os.path.basename(place.path)
        self._place, self._kept, self._at = place, kept, 0
        self._error: OSError | None = None
        self._file: BinaryIO | None = None
        with self._opened():
            pass

    def require_whole(self) -> None:
        """Refuse to take the file for the one that was listed.

        Raises:
            OSError: when it has changed, or could not be read.
        """
        if self._error is not None:
            raise self._error
        with self._opened() as file:
            if stamp_of(os.fstat(file.fileno())) != self.stamp:
                raise OSError(errno.EIO, CHANGES, self._place.path)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.stamp[0]}[whence]
        self._at = max(base + place, 0)
        return self._at

    def readinto(self, room: Any) -> int:
        """Read what fits."""
        try:
            with self._opened() as file:
                file.seek(self._at)
                count: int = file.readinto(room)  # type: ignore[attr-defined]
        except OSError as error:
            self._error = error
            raise
        self._at += count
        return count

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
        super().close()

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._file is not None:
            yield self._file
            return
        file = open_regular(self._place.path)
        if self._kept:
            self._file = file
            yield file
            return
        with file:
            if stamp_of(os.fstat(file.fileno())) != self.stamp:
                raise OSError(errno.EIO, CHANGES, self._place.path)
            yield file


@dataclass(frozen=True)
class Picture:
    """One picture, as it is given to whoever decodes it.

    file: all bytes of the file that it lies in, or where that lies.
    format: the name of its format.
    page: which of those in the file.
    """

    file: bytes | Place
    format: str
    page: int = 0

    @property
    def size(self) -> int:
        """Bytes that are held in memory for it."""
        return len(self.file) if isinstance(self.file, bytes) else 0


def stamp_of(found: os.stat_result) -> Stamp:
    """What tells a file from what it was before."""
    return found.st_size, found.st_mtime_ns


def open_regular(path: str | Path) -> BinaryIO:
    """Open an ordinary file, unbuffered. A pipe or a device in its place is let go of at once.

    Raises:
        Refused: when it is no ordinary file.
        OSError: when it cannot be opened.
    """
    file = open(path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115 — the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Refused("no ordinary file")
    return file


def read_whole(path: str | Path, most: int = MOST_BYTES, stamp: Stamp | None = None) -> bytes:
    """Every byte of an ordinary file.

    Args:
        most: bytes that it may have.
        stamp: what it was known by before.

    Raises:
        Refused: when it is no ordinary file, or a larger one.
        OSError: when it cannot be read, when fewer bytes come than it has, or when it is not, or
            does not stay, as it was.
    """
    with open_regular(path) as file:
        begun = stamp_of(os.fstat(file.fileno()))
        if stamp is not None and begun != stamp:
            raise OSError(errno.EIO, CHANGES, str(path))
        if begun[0] > most:
            raise Refused(f"larger than {most / 1e6:.3g} MB")
        data = b""
        # One call is enough but on a drive that gives less than it was asked for.
        while part := file.read(begun[0] + 1 - len(data)):
            data = data + part if data else part
        if stamp_of(os.fstat(file.fileno())) != begun:
            raise OSError(errno.EIO, CHANGES, str(path))
        if len(data) != begun[0]:
            raise OSError(errno.EIO, f"only {len(data)} of {begun[0]} bytes came", str(path))
        return data


def reason_of(error: OSError) -> str:
    """What an error of the system says, without its number and the path."""
    return error.strerror or str(error) or type(error).__name__


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that nobody writes to would be waited for, for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
