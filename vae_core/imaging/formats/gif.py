"""GIF, of one picture or several frames."""

from __future__ import annotations

from typing import BinaryIO

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile

MOST_BLOCKS = 10_000
"""Passed on the way to the second frame."""

_IMAGE, _EXTENSION = b",", b"!"


def has_frames(file: BinaryIO) -> bool:
    """Whether a GIF goes on after its first picture, told by the lengths of its blocks."""
    head = file.read(13)
    if len(head) < 13 or head[:3] != b"GIF":
        return False
    file.seek(_table(head[10]), 1)
    pictures = 0
    for _ in range(MOST_BLOCKS):
        kind = file.read(1)
        if kind == _IMAGE:
            pictures += 1
            if pictures > 1:
                return True
            about = file.read(9)
            if len(about) < 9:
                return False
            file.seek(_table(about[8]) + 1, 1)
        elif kind == _EXTENSION:
            file.seek(1, 1)
        else:
            return False
        if not _pass_blocks(file):
            return False
    return False


def _table(flags: int) -> int:
    """Bytes of the colours that flags say there are."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _pass_blocks(file: BinaryIO) -> bool:
    while size := file.read(1):
        if size == b"\0":
            return True
        file.seek(size[0], 1)
    return False


formats.add(
    Format(
        name="gif",
        label="GIF",
        blurb="Still pictures and animations.",
        endings=(".gif",),
        library="Pillow",
        pictures="the picture, or each frame",
        build=PillowFile,
        part="frame",
        several=has_frames,
        marks=((0, b"GIF87a"), (0, b"GIF89a")),
        harmless=True,
        order=13,
    )
)
