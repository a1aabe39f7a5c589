"""New files with the rights that the person's umask leaves; `tempfile` makes them private."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


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
