"""A file whose name tells nothing, opened by what it begins with."""

from __future__ import annotations

from typing import BinaryIO

from vae_core.imaging.kinds import Opened, formats
from vae_core.imaging.pillow import PillowFile


def open_by_content(file: BinaryIO) -> Opened:
    """Whatever format knows the file by its first bytes; pillow where none does.

    Raises:
        NotAnImage: when it is no picture.
    """
    head = file.read(8)
    file.seek(0)
    for each in formats:
        if each.magic and head.startswith(each.magic):
            return each.build(file)
    return PillowFile(file)
