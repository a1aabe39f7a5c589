"""The head of a PNG, which says how large a picture is before anything of it is unpacked."""

from __future__ import annotations

import struct

MOST_PIXELS = 2**25
"""Of a picture that is taken into memory: 30 000 thumbnails of 32 × 32."""

PNG_HEAD = 33
"""Bytes that say all of it."""

_BEGINS = b"\x89PNG\r\n\x1a\n"


def require_png(data: bytes, most: int = MOST_PIXELS) -> None:
    """Refuse what is no PNG, or one of more than `most` pixels.

    Raises:
        OSError: saying which.
    """
    if data[:8] != _BEGINS or data[12:16] != b"IHDR" or len(data) < PNG_HEAD:
        raise OSError("it is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if not 0 < width * height <= most:
        raise OSError(f"it has {width} × {height} pixels, and at most {most} are read")
