"""New files with the rights that the person's umask leaves; `tempfile` makes them private."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def new_name(folder: Path, prefix: str, *, private: bool = False) -> tuple[int, Path]:
    """Make an empty file of a name that nobody has, to be written and moved to its place.

    Args:
        private: nobody but its owner can read it, from the first byte on.

    Returns:
        A handle to write by, and its path.

    Raises:
        OSError: when it cannot be made.
    """
    path = folder / f"{prefix}{secrets.token_hex(6)}"
    rights = 0o600 if private else 0o666
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, rights), path


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well, and is removed else.

    Raises:
        OSError: when it cannot be written.
    """
    handle, working = new_name(path.parent, ".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(working, path)
    except BaseException:
        working.unlink(missing_ok=True)
        raise
