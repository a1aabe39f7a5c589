"""Which runs come with the app, and so are for reading only.

A list beside them names them. It travels with the folder into a clone, a wheel or an image; a copy
of one of them, under another name or in a store of one's own, is like any other run.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LIST = "shipped.txt"


def is_shipped(run: Path) -> bool:
    """Whether the run in this folder comes with the app."""
    with suppress(OSError, ValueError):
        return run.name in (run.parent / LIST).read_text(encoding="utf-8").splitlines()
    return False
