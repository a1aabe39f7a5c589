"""Tars, plain and gzipped: WebDataset's shards, with what lies beside their pictures.

A sample's files share their name up to its first dot: `0001.jpg`, `0001.cls`, `0001.json`.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import zipfile
import zlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from vae_core.imaging.archive import (
    Limits,
    Told,
    Unreadable,
    Unsafe,
    name_problem,
    plain_name,
    size_problem,
)
from vae_core.imaging.formats.zip import Bounded
from vae_core.imaging.gzipped import SeekableGzip
from vae_core.imaging.kinds import ArchiveFormat, Cell, NotAnImage, archives, has_image_name
from vae_core.imaging.ranged import ranged
from vae_core.imaging.reading import Skip, Stamp
from vae_core.imaging.tables import as_cell, as_text
from vae_core.units import gigabytes

LONGEST_SIDECAR = 2**16
"""Bytes of a file that says something of a picture."""

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError, OverflowError)


class Stamps(Sequence[Stamp]):
    """What files of a tar are known by: a few bytes each, where millions are listed."""

    def __init__(self) -> None:
        self.mark, self.sizes, self.starts = 0, array("q"), array("q")

    def add(self, size: int, start: int) -> None:
        """A file of so many bytes that begins there."""
        self.sizes.append(size)
        self.starts.append(start)

    def keep(self, places: Sequence[int]) -> None:
        """Those alone."""
        self.sizes = array("q", (self.sizes[i] for i in places))
        self.starts = array("q", (self.starts[i] for i in places))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: Any) -> Any:
        return self.sizes[index], (self.mark + self.starts[index]) % 2**63


class TarMembers:
    """The files in an open tar. See `archive.Members`."""

    def __init__(
        self, file: BinaryIO, limits: Limits, unpacked: SeekableGzip | None = None
    ) -> None:
        self._lies_in, self._limits = file, limits
        self._is_packed = unpacked is not None
        self._file = cast(BinaryIO, io.BufferedReader(unpacked, 2**16)) if unpacked else file
        self._turn = threading.Lock()
        self.names: list[str] = []
        self.stamps = Stamps()
        self.skipped: list[Skip] = []
        self.told: dict[int, Told] = {}
        try:
            self._list()
        except _DAMAGED as error:
            raise Unreadable(f"no tar that can be read ({error})") from None
        self._tell()

    def read(self, index: int) -> bytes:
        """All bytes of one; see `archive.Members`."""
        size = self.stamps.sizes[index]
        try:
            with self._turn:
                self._file.seek(self.stamps.starts[index])
                data = self._file.read(size)
        except _DAMAGED as error:
            raise NotAnImage(f"damaged in the archive: {error}".rstrip(".")) from error
        if len(data) < size:
            raise NotAnImage("damaged in the archive: it is cut short")
        return data

    def open(self, index: int) -> BinaryIO:
        """One of them, to look at its head."""
        stamps = self.stamps
        return ranged(self._file, stamps.starts[index], stamps.sizes[index], self._turn)

    def _list(self) -> None:
        total, seen = 0, 0
        packed, self.stamps.mark = self._packed_size(), self._mark()
        # Kept, for it would take the file along when it goes.
        self._bounded = Bounded(self._file, self._limits)
        with tarfile.open(fileobj=cast(Any, self._bounded), mode="r:") as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                seen += 1
                total += info.size if info.isreg() else 0
                problem = name_problem(info.name) or size_problem(
                    seen, total if self._is_packed or info.issparse() else 0, packed, self._limits
                )
                if info.isreg() and info.size > self._limits.file_bytes:
                    problem = f"{info.name!r} has more than {gigabytes(self._limits.file_bytes)}"
                if problem:
                    raise Unsafe(problem)
                name = plain_name(info.name)
                if info.issym() or info.islnk():
                    self.skipped.append(Skip(name, "a link"))
                elif info.isdir():
                    continue
                elif not info.isreg() or info.issparse():
                    self.skipped.append(Skip(name, "no ordinary file"))
                else:
                    self.names.append(name)
                    self.stamps.add(info.size, info.offset_data)

    def _mark(self) -> int:
        """What tells this tar from one of the same sizes, for it has no sums of its files."""
        file: Any = self._lies_in
        if isinstance(file, io.BytesIO):
            return zlib.crc32(file.getbuffer()) << 31
        stamp: Stamp = file.raw.stamp
        return stamp[1]

    def _packed_size(self) -> int:
        """Bytes of the tar as it lies there, which is packed where it is gzipped."""
        size = self._lies_in.seek(0, os.SEEK_END)
        self._file.seek(0)
        return size

    def _tell(self) -> None:
        """Find what lies beside each picture; it says something of it and is no file of its own."""
        beside: dict[str, list[int]] = defaultdict(list)
        pictures: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(self.names):
            key = _key(name)
            if name[len(key) :].lower() in _SIDECARS:
                beside[key].append(i)
            elif has_image_name(name):
                pictures[key].append(i)
        used: set[int] = set()
        labels: dict[str, Told] = {}  # one for all pictures of which no more is said
        for key, places in pictures.items():
            label, columns = "", dict[str, Cell]()
            for i in beside.get(key, ()):
                if self.stamps.sizes[i] > LONGEST_SIDECAR:
                    continue
                used.add(i)
                said_label, said = _SIDECARS[self.names[i][len(key) :].lower()](self._text(i))
                label = label or said_label
                columns.update(said)
            if label or columns:
                told = Told(label, columns) if columns else labels.setdefault(label, Told(label))
                self.told.update(dict.fromkeys(places, told))
        if used:
            kept = [i for i in range(len(self.names)) if i not in used]
            place = {old: new for new, old in enumerate(kept)}
            self.told = {place[i]: told for i, told in self.told.items()}
            self.names = [self.names[i] for i in kept]
            self.stamps.keep(kept)

    def _text(self, index: int) -> str:
        try:
            return self.read(index).decode("utf-8", "replace").strip()
        except NotAnImage:
            return ""


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".", 1)[0]


def _class(text: str) -> tuple[str, dict[str, Cell]]:
    return as_text(text), {}


def _caption(text: str) -> tuple[str, dict[str, Cell]]:
    return "", {"txt": as_text(text)} if text else {}


def _json(text: str) -> tuple[str, dict[str, Cell]]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return "", {}
    if isinstance(said, str | int):
        return as_text(str(said)), {}
    if not isinstance(said, dict):
        return "", {}
    cells = {as_text(str(key)): as_cell(value) for key, value in said.items()}
    label = next((said[key] for key in ("label", "class", "cls") if key in said), "")
    plain = isinstance(label, str | int) and label != ""
    return as_text(str(label)) if plain else "", {k: v for k, v in cells.items() if v is not None}


_SIDECARS = {".cls": _class, ".txt": _caption, ".json": _json}


def open_gzipped(file: BinaryIO, limits: Limits) -> TarMembers:
    """Open a tar in a gzip."""
    try:
        return TarMembers(file, limits, SeekableGzip(file, limits.total_bytes))
    except zlib.error as error:
        raise Unreadable(f"no .tar.gz that can be read ({error})") from None


archives.add(
    ArchiveFormat(
        name="tar",
        label=".tar",
        blurb="WebDataset shards among them; links in it are left out.",
        endings=(".tar",),
        library="Python",
        pictures="those of the files in it",
        labels=".cls, .json and .txt beside a picture: its label and its columns; else its folders",
        build=TarMembers,
        order=2,
    )
)
archives.add(
    ArchiveFormat(
        name="tgz",
        label=".tar.gz",
        blurb="As a .tar.",
        endings=(".tar.gz", ".tgz"),
        library="Python",
        pictures="those of the files in it",
        labels="as in a .tar",
        build=open_gzipped,
        order=3,
    )
)
