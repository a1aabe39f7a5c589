"""AVIF, of one picture or a sequence."""

from __future__ import annotations

from typing import BinaryIO

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile


def is_sequence(file: BinaryIO) -> bool:
    """Whether an AVIF holds frames, told by the brands at its head."""
    head = file.read(256)
    length = int.from_bytes(head[:4], "big")
    return head[4:8] == b"ftyp" and b"avis" in head[8 : min(length, 256)]


formats.add(
    Format(
        name="avif",
        label="AVIF",
        blurb="Still pictures and sequences, with 8 bits whatever they hold.",
        endings=(".avif", ".avifs"),
        library="Pillow",
        pictures="the picture, or each frame",
        build=PillowFile,
        part="frame",
        several=is_sequence,
        marks=((4, b"ftypavif"), (4, b"ftypavis")),
        harmless=True,
        order=14,
    )
)
