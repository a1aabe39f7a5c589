"""A gzip that is read at any place without unpacking it: the state of the unpacker is kept at some.

As in zlib's own example `zran.c`: to go back costs what lies between two of them.
"""

from __future__ import annotations

import bisect
import io
import os
import zlib
from typing import Any, BinaryIO

BETWEEN = 16 * 2**20
"""Unpacked bytes from one place to the next; a place costs about 40 KB."""

STEP = 2**16
_GZIP = 16 + zlib.MAX_WBITS


class SeekableGzip(io.RawIOBase):
    """What is in the gzip `packed`. One thread at a time.

    Raises:
        zlib.error: when reading what is damaged.
        EOFError: when it is cut short, or more than `most` bytes come out.
    """

    def __init__(self, packed: BinaryIO, most: int) -> None:
        self.packed, self._most = packed, most
        self._places: list[tuple[int, int, bytes, Any]] = [(0, 0, b"", zlib.decompressobj(_GZIP))]
        self._unpacker = self._places[0][3].copy()
        self._wanted = self._at = self._in = 0
        self._ahead = self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where it is read on."""
        return self._wanted

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, which costs nothing until it is read there."""
        if whence == os.SEEK_CUR:
            place += self._wanted
        elif whence == os.SEEK_END:
            self._pass_ahead()
            while self._fill():
                self._pass_ahead()
            place += self._at
        self._wanted = max(place, 0)
        return self._wanted

    def readinto(self, room: Any) -> int:
        """Read what fits."""
        if not self._reach(self._wanted):
            return 0
        start = self._wanted - self._at
        part = self._ahead[start : start + len(room)]
        room[: len(part)] = part
        self._wanted += len(part)
        return len(part)

    def _reach(self, place: int) -> bool:
        """Unpack up to `place`; False where it lies behind the end."""
        if place < self._at:
            self._restore(bisect.bisect_right([start for start, *_ in self._places], place) - 1)
        while place >= self._at + len(self._ahead):
            self._pass_ahead()
            if not self._fill():
                return False
        return True

    def _pass_ahead(self) -> None:
        self._at += len(self._ahead)
        self._ahead = b""

    def _fill(self) -> bool:
        """Unpack some more into `_ahead`, which is empty; False at the end."""
        if self._at >= self._places[-1][0] + BETWEEN:
            self._places.append((self._at, self._in, self._left, self._unpacker.copy()))
        while True:
            if self._unpacker.eof:  # one gzip may follow another
                rest = self._unpacker.unused_data.lstrip(b"\0") or self._more()
                if not rest:
                    return False
                self._unpacker, self._left = zlib.decompressobj(_GZIP), rest
            packed = self._left or self._more()
            self._left = b""
            if not packed and not self._unpacker.eof:
                raise EOFError("it is cut short")
            self._ahead = self._unpacker.decompress(packed, 16 * STEP)
            self._left = self._unpacker.unconsumed_tail
            if self._at + len(self._ahead) > self._most:
                raise EOFError(f"it unpacks to more than {self._most:,} bytes")
            if self._ahead:
                return True

    def _more(self) -> bytes:
        self.packed.seek(self._in)
        data = self.packed.read(STEP)
        self._in += len(data)
        return data

    def _restore(self, number: int) -> None:
        self._at, self._in, self._left, kept = self._places[number]
        self._unpacker = kept.copy()
        self._ahead = b""
