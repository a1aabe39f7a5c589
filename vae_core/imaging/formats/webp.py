"""WebP, of one picture or several frames."""

from __future__ import annotations

from typing import BinaryIO

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile

_ANIMATED = 0x02


def has_frames(file: BinaryIO) -> bool:
    """Whether a WebP is an animation, told by the flags of its first chunk."""
    head = file.read(21)
    return len(head) == 21 and head[8:16] == b"WEBPVP8X" and bool(head[20] & _ANIMATED)


formats.add(
    Format(
        name="webp",
        label="WebP",
        blurb="Still pictures and animations.",
        endings=(".webp",),
        library="Pillow",
        pictures="the picture, or each frame",
        build=PillowFile,
        part="frame",
        several=has_frames,
        marks=((8, b"WEBPVP8"),),
        harmless=True,
        order=12,
    )
)
