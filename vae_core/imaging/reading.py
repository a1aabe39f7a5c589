"""Whole files, read with bounds: ordinary ones only, and either every byte or an error.

What could not be read says nothing of what the file holds, and what was read whole says all. So
nobody who reads here takes a drive that is gone for a file that is bad.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 200_000_000
"""Of one picture file: 16-bit scans have less."""

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in ns: another one where the content is another."""


class Refused(Exception):
    """What lies there is not read at all; the message says why in a few words."""


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
            raise OSError(errno.EIO, "it changes while it is being read", str(path))
        if begun[0] > most:
            raise Refused(f"larger than {most / 1e6:.3g} MB")
        data = b""
        # One call is enough but on a drive that gives less than it was asked for.
        while part := file.read(begun[0] + 1 - len(data)):
            data = data + part if data else part
        if stamp_of(os.fstat(file.fileno())) != begun:
            raise OSError(errno.EIO, "it changes while it is being read", str(path))
        if len(data) != begun[0]:
            raise OSError(errno.EIO, f"only {len(data)} of {begun[0]} bytes came", str(path))
        return data


def reason_of(error: OSError) -> str:
    """What an error of the system says, without its number and the path."""
    return error.strerror or str(error) or type(error).__name__


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that nobody writes to would be waited for, for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
