"""PNG, and APNG, which is a PNG of several frames."""

from __future__ import annotations

import struct
from typing import BinaryIO

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile

MOST_CHUNKS = 100
"""Looked at for the one that says that there are frames. It comes before the pixels."""


def has_frames(file: BinaryIO) -> bool:
    """Whether a PNG is an animation, told by the chunks before its pixels."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return False
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return False
        if head[4:] == b"acTL":
            return True
        file.seek(struct.unpack(">I", head[:4])[0] + 4, 1)
    return False


formats.add(
    Format(
        name="png",
        label="PNG",
        blurb="8 and 16 bits; animated PNG (APNG) by frames.",
        endings=(".png", ".apng"),
        library="Pillow; imagecodecs for colour of 16 bits",
        pictures="the picture, or each frame",
        build=PillowFile,
        part="frame",
        several=has_frames,
        marks=((0, b"\x89PNG\r\n\x1a\n"),),
        harmless=True,
        order=11,
    )
)
