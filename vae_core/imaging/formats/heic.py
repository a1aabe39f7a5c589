"""HEIC and HEIF, as phones take them."""

from __future__ import annotations

from typing import BinaryIO

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile


def open_heic(file: BinaryIO) -> PillowFile:
    """Open one; what is in it beside its pictures (thumbnails, depth) is none."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return PillowFile(file, ("HEIF",))


formats.add(
    Format(
        name="heic",
        label="HEIC",
        blurb="Photographs of phones, with 8 bits whatever they hold.",
        endings=(".heic", ".heics", ".heif", ".heifs", ".hif"),
        library="pillow-heif",
        extra="heic",
        modules=("pillow_heif",),
        pictures="each picture of a collection",
        build=open_heic,
        several=True,
        order=15,
    )
)
