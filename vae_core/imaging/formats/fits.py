"""FITS, as telescopes write it: the values that its head says are meant."""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.pillow import PillowFile

CARD, BLOCK = 80, 2880
MOST_CARDS = 36 * 1000


class FitsPicture:
    """The picture of an open FITS. See `kinds.Opened`.

    Pillow takes 16 bits for unsigned, leaves scale and zero aside, and of a cube has one plane.

    Source: Pence et al., Definition of the Flexible Image Transport System, version 3.0 (2010),
    sections 4.4.1 and 4.4.2.5.
    """

    def __init__(self, file: BinaryIO) -> None:
        cards = _cards(file)
        planes = [_number(cards, f"{z}NAXIS{i}", 1) for z in ("Z", "") for i in range(3, 10)]
        if any(each > 1 for each in planes):
            count = math.prod(int(each) for each in planes if each > 1)
            raise NotAnImage(f"a FITS of {count} planes, and those of one are read")
        self._scale, self._zero = _number(cards, "BSCALE", 1), _number(cards, "BZERO", 0)
        self._picture = PillowFile(file, ("FITS",))

    def contents(self) -> Contents:
        """One."""
        return Contents(1)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """The values [H, W] that are meant, the first row on top."""
        stored = self._picture.values(index, None)
        if stored.dtype.kind == "u" and stored.dtype.itemsize == 2:
            stored = stored.astype(np.uint16).view(np.int16)
        if (self._scale, self._zero) == (1, 0):
            return stored
        if stored.dtype.kind != "f" and self._scale == 1 and self._zero % 1 == 0:
            meant = stored.astype(np.int64) + int(self._zero)
            is_unsigned = stored.dtype == np.int16 and self._zero == 2**15  # as all write it
            return meant.astype(np.uint16) if is_unsigned else meant
        return (stored.astype(np.float64) * self._scale + self._zero).astype(np.float32)

    def close(self) -> None:
        """Nothing is open but the file."""


def _cards(file: BinaryIO) -> dict[str, str]:
    """What the heads of the file say, up to the first that has a picture."""
    cards: dict[str, str] = {}
    for _ in range(MOST_CARDS):
        card = file.read(CARD)
        if len(card) < CARD:
            break
        name = card[:8].decode("latin-1").strip()
        if name == "END":
            if _number(cards, "NAXIS", 0):
                break
            file.seek(math.ceil(file.tell() / BLOCK) * BLOCK)
        elif card[8:10] == b"= ":
            cards[name] = card[10:].decode("latin-1").partition("/")[0].strip()
    return cards


def _number(cards: dict[str, str], name: str, default: float) -> float:
    try:
        found = float(cards[name].replace("D", "E"))
    except (KeyError, ValueError):
        return default
    return found if math.isfinite(found) else default


formats.add(
    Format(
        name="fits",
        label="FITS",
        blurb="Flat pictures in the units of the file, with its scale and its zero.",
        endings=(".fits", ".fit", ".fts"),
        library="Pillow",
        pictures="the picture",
        build=FitsPicture,
        marks=((0, b"SIMPLE  ="),),
        harmless=True,
        order=17,
    )
)
