"""Pictures inside a .zip, read without ever unpacking it to disk, with bounds against bombs."""

from __future__ import annotations

import errno
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from vae_core.errors import UserError
from vae_core.imaging.decode import NotAnImage
from vae_core.imaging.listing import Listing, Skip, has_image_name, is_system_file
from vae_core.imaging.reading import Refused, open_regular, reason_of, stamp_of
from vae_core.units import gigabytes


@dataclass(frozen=True)
class ZipLimits:
    """What a zip may hold at most.

    at_once: bytes that are read at once, the list of all entries among them.
    ratio: unpacked over packed size of the whole archive; only asked from `ratio_from` bytes on,
        since a few flat pictures pack very well.
    """

    entries: int = 1_000_000
    total_bytes: int = 20_000_000_000
    file_bytes: int = 200_000_000
    at_once: int = 200_000_001
    ratio: float = 200.0
    ratio_from: int = 50_000_000


_DRIVE = re.compile(r"[A-Za-z]:")
_NESTED = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
_ENTRY = b"PK\x01\x02"
_DAMAGED = (zipfile.BadZipFile, struct.error, ValueError, OverflowError, EOFError, KeyError)
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
"""Not bzip2, of which 4 KB can become 4 GB in one call."""

_DAMAGED_ENTRY = (zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError)


@contextmanager
def open_zip(path: Path, limits: ZipLimits = ZipLimits()) -> Iterator[Listing]:
    """The pictures in the zip at `path`; `read` works inside the `with` block.

    Archives inside the archive are listed as skipped.

    Raises:
        UserError: when it is no zip, is damaged, is encrypted, or is unsafe: names that lead out
            of a folder, links, or more than `limits` allow.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}.") from None
    except Refused as error:
        raise UserError(f"{path} is {error}; name a folder or a .zip.") from None
    with file:
        begun = stamp_of(os.fstat(file.fileno()))
        with _directory(path, file, limits) as archive:
            yield _listing(
                path, archive, limits, lambda: stamp_of(os.fstat(file.fileno())) == begun
            )


def _directory(path: Path, file: BinaryIO, limits: ZipLimits) -> zipfile.ZipFile:
    """What the archive says of its entries, which is believed only within bounds."""
    try:
        archive = zipfile.ZipFile(_Bounded(file, limits))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}.") from None
    except (*_DAMAGED, NotImplementedError) as error:
        raise UserError(
            f"{path} is no zip file that can be read ({error}). Pack your images again as .zip, "
            "or name a folder."
        ) from None
    problem = _problem(archive.infolist(), os.fstat(file.fileno()).st_size, limits)
    if problem:
        raise UserError(f"{path.name} was refused: {problem}. Pack only your images and try again.")
    return archive


def _listing(
    path: Path, archive: zipfile.ZipFile, limits: ZipLimits, unchanged: Callable[[], bool]
) -> Listing:
    infos = (info for info in archive.infolist() if not info.is_dir())
    named = sorted(((_name(info), info) for info in infos), key=lambda pair: pair[0])
    named = [(name, info) for name, info in named if not is_system_file(name)]
    pictures = [(name, info) for name, info in named if has_image_name(name)]
    others = dict(pair for pair in named if not has_image_name(pair[0]))

    def read(index: int) -> bytes:
        return read_safely(pictures[index][1])

    def read_safely(info: zipfile.ZipInfo) -> bytes:
        try:
            return read_entry(archive, info, limits)
        except (*_DAMAGED, *_DAMAGED_ENTRY) as error:
            # An archive that is cut short while it is read looks like a damaged one.
            if not unchanged():
                raise OSError(errno.EIO, "it changes while it is being read", str(path)) from error
            raise NotAnImage(f"damaged in the archive: {error}".rstrip(".")) from error

    return Listing(
        path,
        tuple(name for name, _ in pictures),
        np.fromiter((_stamp(info) for _, info in pictures), np.dtype((np.int64, 8))),
        read,
        tuple(Skip(name, _why_not(name)) for name, _ in named if not has_image_name(name)),
        read_other=lambda name: read_safely(others[name]),
    )


class _Bounded(io.BufferedReader):
    """An archive's file, of which no more is taken into memory at once than an honest one needs.

    What it says of itself tells `zipfile` how much to read: a file of nothing but holes can ask
    for all memory there is.
    """

    def __init__(self, file: BinaryIO, limits: ZipLimits) -> None:
        super().__init__(cast(io.RawIOBase, file))
        self._limits = limits

    def read(self, count: int | None = -1) -> bytes:
        most = self._limits.at_once
        data = super().read(most + 1 if count is None or count < 0 else min(count, most + 1))
        if len(data) > most:
            raise zipfile.BadZipFile("it asks for too much memory")
        if data.count(_ENTRY) > self._limits.entries:
            raise zipfile.BadZipFile(f"it has more than {self._limits.entries} entries")
        return data


def _problem(infos: list[zipfile.ZipInfo], packed: int, limits: ZipLimits) -> str:
    """What makes the archive unsafe, "" if nothing does."""
    if len(infos) > limits.entries:
        return f"it has {len(infos)} entries, more than {limits.entries}"
    for info in infos:
        problem = _name_problem(info.orig_filename) or _entry_problem(info, limits)
        if problem:
            return problem
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        return f"it unpacks to {gigabytes(total)}, more than {gigabytes(limits.total_bytes)}"
    if total > limits.ratio_from and total > limits.ratio * packed:
        return f"it unpacks to {total // max(packed, 1)} times its size, as no images do"
    return ""


def _name_problem(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return f"the name {name!r} leads out of the folder"
    if not parts[0] or _DRIVE.match(name):
        return f"the name {name!r} is an absolute path"
    return f"the name {name!r} holds a zero byte" if "\0" in name else ""


def _entry_problem(info: zipfile.ZipInfo, limits: ZipLimits) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return f"{info.filename!r} is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{info.filename!r} is no ordinary file"
    if info.flag_bits & 0x1:
        return f"{info.filename!r} is encrypted"
    if info.file_size > limits.file_bytes:
        return f"{info.filename!r} unpacks to more than {gigabytes(limits.file_bytes)}"
    return ""


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ZipLimits) -> bytes:
    """The bytes of one file of an open archive.

    What its header claims was checked before; what comes out is counted here all the same.

    Raises:
        UserError: when more comes out than `limits` allow.
        NotAnImage: when it is packed in a way that knows no bounds.
    """
    if info.compress_type not in _PACKED:
        raise NotAnImage("packed in another way than a .zip usually is")
    # LZMA has no bound of its own, so little is given to it at once.
    bounded = info.compress_type != zipfile.ZIP_LZMA
    step = limits.file_bytes + 1 if bounded else zipfile.ZipExtFile.MIN_READ_SIZE
    parts, count = [], 0
    with archive.open(info) as file:
        while count <= limits.file_bytes and (part := file.read(step)):
            parts.append(part)
            count += len(part)
    if count > limits.file_bytes:
        raise UserError(
            f"{archive.filename} was refused: {info.filename!r} unpacks to more than "
            f"{gigabytes(limits.file_bytes)}."
        )
    return b"".join(parts)


def _stamp(info: zipfile.ZipInfo) -> tuple[int, ...]:
    return info.file_size, info.CRC, *info.date_time


def _why_not(name: str) -> str:
    return "archive in the archive" if name.lower().endswith(_NESTED) else "no image"


def _name(info: zipfile.ZipInfo) -> str:
    """The name with slashes and without the `./` that some packers write."""
    parts = info.filename.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))
