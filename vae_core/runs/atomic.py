"""A file that comes whole or not at all, and what is left of one whose writer was killed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from vae_core.files import new_name
from vae_core.runs.process import Watch, writer_is_running, writer_name
from vae_core.runs.schemas import SILENT_S

TEMPORARY = ".writing-"
"""What the names of files begin with that are not whole yet; then comes who writes them."""

_watch = Watch()


def write_temporary(parent: Path, data: bytes | Iterable[bytes], *, private: bool = False) -> Path:
    """Write a new file beside its place, to be moved there; it outlives a power cut. An OSError
    when it cannot be written; nothing is left of it then.

    Args:
        data: all of it, or pieces of what is too large for the memory.
        private: nobody but its owner can read it, from the first byte on.
    """
    handle, path = new_name(parent, f"{TEMPORARY}{writer_name(os.getpid())}-", private=private)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def open_to_append(path: Path) -> BinaryIO:
    """A file to be read and appended to, unbuffered; no link is followed, and no pipe waited for.
    An OSError when it cannot be opened, or is a link."""

    def opener(name: str, flags: int) -> int:
        beside = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        return os.open(name, flags | beside, 0o666)

    return open(path, "a+b", buffering=0, opener=opener)


def is_private(path: Path) -> bool:
    """True for a file that nobody but its owner can read."""
    try:
        return path.stat().st_mode & 0o077 == 0
    except OSError:
        return False


def is_leftover(path: Path) -> bool:
    """True where nobody writes this any more: its writer is gone or, on another host, has been
    seen not to move for long."""
    running = writer_is_running(path.name.removeprefix(TEMPORARY))
    if running is not None:
        return not running
    try:
        still = _watch.unchanged_s(path, lambda: (path.stat().st_size, path.stat().st_mtime_ns))
    except OSError:
        return False
    return still >= SILENT_S
