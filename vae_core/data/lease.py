"""Holding what lies in the cache: many may use an entry, one alone may fill or remove it.

The system's locks on files, which end with the process that holds them however it ends: nothing
here asks for process ids or for the time.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

try:
    import fcntl
except ImportError:  # Windows, where no file can be removed while it is open
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""In a folder of the cache the file that stands for it; its time is that of the last use."""


class Lease:
    """What holds an entry, a folder or a file, until it is released or garbage."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def share(self) -> None:
        """Let others use it too, from now on."""
        if self._file is not None and fcntl is not None:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()


def take(entry: Path, alone: bool) -> Lease | None:
    """Hold `entry` if nobody is in the way: whoever fills or removes it, or, `alone`, anybody.

    Raises:
        OSError: when it is not there or cannot be opened.
    """
    while True:
        is_file = entry.is_file()
        path = entry if is_file else entry / LOCK
        file = path.open(("r+b" if alone else "rb") if is_file else "a+b", buffering=0)
        try:
            if fcntl is not None:
                kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
                fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:  # a file system without locks: nobody is kept out there
            pass
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return Lease(cast(BinaryIO, file))
        file.close()  # it was removed in the meantime; look again at what is there now


def touch(entry: Path) -> None:
    """Note that `entry` is used now."""
    with suppress(OSError):
        if entry.is_file():  # the time of its last change is left as it is
            os.utime(entry, ns=(time.time_ns(), entry.stat().st_mtime_ns))
        else:
            (entry / LOCK).touch()
