"""A file whose name tells nothing, known by marks that lie in its first bytes."""

from __future__ import annotations

import mimetypes
import zlib
from typing import BinaryIO

from vae_core.imaging.kinds import Format, Opened, formats
from vae_core.imaging.pillow import PillowFile

HEAD = 512
"""Bytes among which all marks lie."""

_GZIP = b"\x1f\x8b\x08"
_TYPES = mimetypes.MimeTypes()
_UNTOLD = frozenset({None, "application/octet-stream", "application/dicom"})


def format_of(head: bytes) -> Format | None:
    """The format whose mark lies in the first `HEAD` bytes of a file; None where none does.

    Of what is packed by gzip only those are asked that are read so: `.nii.gz`.
    """
    packed = head.startswith(_GZIP)
    if packed:
        try:
            head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEAD)
        except zlib.error:
            return None
    asked = [each for each in formats if not packed or _may_be_packed(each)]
    return next(
        (each for each in asked if any(head.startswith(mark, at) for at, mark in each.marks)), None
    )


def _may_be_packed(each: Format) -> bool:
    return any(ending.endswith(".gz") for ending in each.endings)


def tells_nothing(name: str) -> bool:
    """Whether a name, of no format that is known here, leaves open what is in the file: that of a
    text or a film does not. `1.2.840.113619.2.5` is usual for a DICOM, `scan.dat` for anything."""
    return _TYPES.guess_type(name.rpartition("/")[2])[0] in _UNTOLD


def open_by_content(file: BinaryIO) -> Opened:
    """One picture, by whatever format of single pictures knows the file; pillow where none does.

    Raises:
        NotAnImage: when it is no picture.
    """
    head = file.read(HEAD)
    file.seek(0)
    found = format_of(head)
    if found is not None and found.several is not True and not found.missing:
        return found.build(file)
    return PillowFile(file)
