"""Files of any number, where they lie: in a folder, in an archive, in an archive in one.

Hundreds of thousands are listed while torch fills most of a GB: what is known of a file is a string
and a few numbers, with no object of its own.
"""

from __future__ import annotations

import io
import os
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import numpy as np

from vae_core.imaging.archive import Limits, Members
from vae_core.imaging.formats import formats
from vae_core.imaging.kinds import ArchiveFormat, Format
from vae_core.imaging.reading import Picture, Place, Stamp, Watched, open_regular, read_whole

T = TypeVar("T")

KEPT_OPEN = 64
"""Archives whose files stay open; of others they are opened for each that is read."""

KEPT_BYTES = 400_000_000
"""Of files in archives that are read more than once: archives in them, and files of several
pictures."""


class Holder(Protocol):
    """What files lie in. Any thread may read them."""

    def read(self, name: str, stamp: Stamp, key: int) -> bytes:
        """All bytes of a file.

        Raises:
            NotAnImage, Refused, OSError: as `Listing.read`.
        """

    def open(self, name: str, stamp: Stamp, key: int) -> BinaryIO:
        """The file, to look at its head."""

    def place(self, name: str, stamp: Stamp) -> Place | None:
        """Where it lies on the disk, None where it does not."""


class Folder:
    """A folder of files that go by their names below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def read(self, name: str, stamp: Stamp, key: int) -> bytes:
        """All bytes of a file."""
        return read_whole(os.path.join(self._root, name), stamp=stamp)

    def open(self, name: str, stamp: Stamp, key: int) -> BinaryIO:
        """The file, to look at its head."""
        file = open_regular(os.path.join(self._root, name))
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), 512))

    def place(self, name: str, stamp: Stamp) -> Place | None:
        """Where it lies."""
        return Place(os.path.join(self._root, name), stamp)


class Packed:
    """An archive of files that go by their places in it.

    Args:
        file: opens it anew.
        size: its bytes, where they are held in memory and may be let go of; 0 keeps it open.
        recent: holds it then.

    Raises:
        Unsafe, Unreadable, OSError: as `archive.Open`.
    """

    def __init__(
        self,
        kind: ArchiveFormat,
        file: Callable[[], BinaryIO],
        size: int,
        limits: Limits,
        recent: Recent,
    ) -> None:
        self._recent = recent
        self._kind, self._file, self._size, self._limits = kind, file, size, limits
        self._open: BinaryIO | None = None
        self._kept = None if size else self._members()
        self.members = self._kept or self._members()

    def read(self, name: str, stamp: Stamp, key: int) -> bytes:
        """All bytes of a file."""
        try:
            return self._now().read(key)
        finally:
            self._require_whole()  # one that is cut short while it is read looks like a damaged one

    def open(self, name: str, stamp: Stamp, key: int) -> BinaryIO:
        """The file, to look at its head."""
        return self._now().open(key)

    def place(self, name: str, stamp: Stamp) -> Place | None:
        """Nowhere of its own."""
        return None

    def forget(self) -> None:
        """Keep no more than is needed to open it again, once it is listed."""
        if self._kept is None:
            del self.members

    def close(self) -> None:
        """Let go of its file."""
        if self._open is not None:
            self._open.close()

    def _now(self) -> Members:
        return self._kept or self._recent.get(self, self._size, self._members)

    def _members(self) -> Members:
        file = self._file()
        if not self._size:
            self._open = file
        return self._kind.build(file, self._limits)

    def _require_whole(self) -> None:
        watched = getattr(self._open, "raw", None)
        if isinstance(watched, Watched):
            watched.require_whole()


class Recent:
    """What was made last, up to some bytes of it."""

    def __init__(self, most: int) -> None:
        self._most, self._total = most, 0
        self._turn = RLock()
        self._made: OrderedDict[Any, tuple[int, Any]] = OrderedDict()

    def get(self, key: Any, size: int, make: Callable[[], T]) -> T:
        """What `make` made for `key`, now or before."""
        with self._turn:
            if key in self._made:
                self._made.move_to_end(key)
                return cast(T, self._made[key][1])
            made = make()
            self._made[key] = size, made
            self._total += size
            while self._total > self._most and len(self._made) > 1:
                _, (gone, _) = self._made.popitem(last=False)
                self._total -= gone
            return made

    def clear(self) -> None:
        """Forget all."""
        with self._turn:
            self._made.clear()
            self._total = 0


FORMATS = tuple(formats)
_CODE = {each.name: code for code, each in enumerate(FORMATS)}


class Files:
    """A list of files of pictures, in the order of their names once it is `sort`ed.

    names: of each; stamps: int64 [F, 2], what each is known by, its bytes first.
    """

    def __init__(self) -> None:
        self.names: Sequence[str] = []
        self.stamps = np.zeros((0, 2), np.int64)
        self._new, self._new_stamps = list[str](), array("q")
        self.holders: list[Holder] = []
        self.recent = Recent(KEPT_BYTES)
        self._kinds, self._holder_of, self._keys = array("B"), array("i"), array("i")

    def __len__(self) -> int:
        return len(self.names) + len(self._new)

    def add(self, name: str, kind: Format, stamp: Stamp, holder: int, key: int) -> None:
        """Add a file that lies in `holders[holder]` at `key`."""
        self._new.append(name)
        self._new_stamps.extend(stamp)
        self._kinds.append(_CODE[kind.name])
        self._holder_of.append(holder)
        self._keys.append(key)

    def sort(self) -> None:
        """Bring all that were added into the order of their names; nothing is added after."""
        order = sorted(range(len(self._new)), key=self._new.__getitem__)
        self.names = tuple(self._new[i] for i in order)
        self.stamps = np.array(self._new_stamps, np.int64).reshape(-1, 2)[order]
        self._new, self._new_stamps = [], array("q")
        self._kinds = array("B", (self._kinds[i] for i in order))
        self._holder_of = array("i", (self._holder_of[i] for i in order))
        self._keys = array("i", (self._keys[i] for i in order))

    def format(self, i: int) -> Format:
        """The format of a file."""
        return FORMATS[self._kinds[i]]

    def stamp(self, i: int) -> Stamp:
        """What a file is known by."""
        size, mark = self.stamps[i].tolist()
        return size, mark

    def holding(self, i: int) -> tuple[int, int]:
        """The number of the holder of a file, and its key there."""
        return self._holder_of[i], self._keys[i]

    def open(self, i: int) -> BinaryIO:
        """A file, to look at its head."""
        return self._of(i).open(self.names[i], self.stamp(i), self._keys[i])

    def picture(self, i: int, page: int = 0, alone: bool = True) -> Picture:
        """A picture of a file, `alone` in it or one of several.

        Raises:
            NotAnImage, Refused, OSError: as `Listing.read`.
        """
        holder, kind = self._of(i), self.format(i)
        name, stamp, key = self.names[i], self.stamp(i), self._keys[i]
        if alone and kind.several is not True:
            return Picture(holder.read(name, stamp, key), kind.name)
        place = holder.place(name, stamp)
        if place is not None:
            return Picture(place, kind.name, page)

        def whole() -> bytes:
            return holder.read(name, stamp, key)

        return Picture(self.recent.get((holder, key), stamp[0], whole), kind.name, page)

    def close(self) -> None:
        """Let go of all archives."""
        self.recent.clear()
        for holder in self.holders:
            if isinstance(holder, Packed):
                holder.close()

    def _of(self, i: int) -> Holder:
        return self.holders[self._holder_of[i]]
