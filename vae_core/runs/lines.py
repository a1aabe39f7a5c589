"""Records one a line: read in pieces, however long the file or one of its lines is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from vae_core.runs.bounds import MB

LONGEST_LINE = MB
"""A record of 60 000 dimensions; a longer line is none."""

STEP = b'"kind":"step"'
"""What a record of training steps holds, which most are."""

_CHUNK = 2**20


def blocks_of(file: BinaryIO, offset: int) -> Iterator[tuple[list[bytes], int]]:
    """Whole lines from byte `offset` on, a few thousand at a time, and where the last of them ends;
    too long ones are passed over.

    A last line without an end, which is still being written, is left out.
    """
    left = max(0, os.fstat(file.fileno()).st_size - offset)
    file.seek(offset)
    rest, too_long = b"", False
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        left -= len(chunk)
        whole = rest + chunk
        *lines, rest = whole.split(b"\n")
        if lines:
            offset += len(whole) - len(rest)
            yield lines[too_long:], offset
            too_long = False
        if len(rest) > LONGEST_LINE:
            offset, rest, too_long = offset + len(rest), b"", True


def record_in(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None for what is none."""
    try:
        record = json.loads(line, parse_int=_int)
    except (ValueError, RecursionError):  # torn by a power cut: the others are still good
        return None
    return record if isinstance(record, dict) else None


def _int(digits: str) -> int | float:
    """Integers that every program can take; longer ones as what they are, too large."""
    return int(digits) if len(digits) < 19 else float(digits)
