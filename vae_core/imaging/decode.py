"""One picture of any kind: its values, or one uint8 array of the size that was asked for."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from vae_core.imaging.fit import Box, Target, content_box, fit
from vae_core.imaging.formats import formats
from vae_core.imaging.kinds import Contents, NotAnImage, Opened
from vae_core.imaging.numbers import as_values
from vae_core.imaging.reading import Picture, Place, Refused, Watched
from vae_core.imaging.sniffed import open_by_content


def decode(file: BinaryIO, target: Target) -> np.ndarray:
    """Read a picture file and bring it to `target`: uint8 [C, height, width].

    Raises:
        NotAnImage: when it is none, is damaged or truncated, is larger than pillow's limit, or
            has channels that cannot become those of the target.
    """
    return fitted(read_values(file, enough(target)), target)[0]


def fitted(values: np.ndarray, target: Target) -> tuple[np.ndarray, Box]:
    """Values [H, W, C] brought to `target`, uint8 [C, height, width], and where in the image the
    picture lies: beside it there is padding.

    Raises:
        NotAnImage: when its channels cannot become those of the target.
    """
    try:
        return fit(values, target), content_box(values.shape, target)
    except ValueError as error:
        raise NotAnImage(str(error)) from None


def read_values(file: BinaryIO, least: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as its file holds it: [H, W, C] of 1 to 16 channels, in its own number type.

    The first of several; upright after its EXIF orientation; transparency over white; palettes,
    CMYK and the like as colour, in sRGB where the file says what its colours are.

    Args:
        least: (width, height) that are enough: a JPEG is decoded at a fraction of its size.

    Raises:
        NotAnImage: as `decode`.
    """
    opened = open_by_content(file)
    try:
        return as_values(opened.values(0, least))
    finally:
        opened.close()


def enough(target: Target) -> tuple[int, int]:
    """(width, height) of a picture that keep the quality of `target`: twice its own."""
    return 2 * target.width, 2 * target.height


class Reader:
    """Gives the values of pictures, and keeps the file open that the last one lay in."""

    def __init__(self) -> None:
        self._known: tuple[bytes | Place, str] | None = None
        self._file: BinaryIO | None = None
        self._opened: Opened | None = None

    def values(self, picture: Picture, least: tuple[int, int] | None = None) -> np.ndarray:
        """The values of a picture, as `read_values` gives them.

        Raises:
            NotAnImage: when it is none.
            OSError: when its file cannot be read, or is no longer what it was.
        """
        opened = self._open(picture)
        try:
            return as_values(opened.values(picture.page, least))
        finally:
            self._require_whole()

    def contents(self, picture: Picture) -> Contents:
        """What the file holds that `picture` lies in.

        Raises:
            NotAnImage, OSError: as `values`.
        """
        opened = self._open(picture)
        try:
            return opened.contents()
        finally:
            self._require_whole()

    def close(self) -> None:
        """Let go of the last file."""
        with suppress(Exception):
            if self._opened is not None:
                self._opened.close()
        if self._file is not None:
            self._file.close()
        self._known = self._file = self._opened = None

    def _open(self, picture: Picture) -> Opened:
        known = (picture.file, picture.format)
        if self._opened is None or self._known != known:
            self.close()
            try:
                place = picture.file
                self._file = io.BytesIO(place) if isinstance(place, bytes) else place.open()
                self._opened = formats[picture.format].build(self._file)
            except Refused as error:
                raise NotAnImage(str(error)) from None
            except BaseException:
                self._require_whole()
                self.close()
                raise
            self._known = known
        return self._opened

    def _require_whole(self) -> None:
        # What looks damaged may have been written to meanwhile, or lie on a drive that is gone.
        watched = getattr(self._file, "raw", None)
        if isinstance(watched, Watched):
            try:
                watched.require_whole()
            except OSError:
                self.close()
                raise
