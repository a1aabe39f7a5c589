"""Zips, with bounds against bombs."""

from __future__ import annotations

import copy
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from typing import BinaryIO, cast

from vae_core.errors import UserError
from vae_core.imaging.archive import (
    Limits,
    Told,
    Unreadable,
    Unsafe,
    name_problem,
    plain_name,
    size_problem,
)
from vae_core.imaging.kinds import ArchiveFormat, NotAnImage, archives
from vae_core.imaging.reading import Skip, Stamp
from vae_core.units import gigabytes

_ENTRY = b"PK\x01\x02"
_DAMAGED = (zipfile.BadZipFile, struct.error, ValueError, OverflowError, EOFError, KeyError)
_ENCRYPTED = 0x1
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
"""Not bzip2, of which 4 KB can become 4 GB in one call."""

_DAMAGED_ENTRY = (zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError)
LEAST_DICTIONARY, STEP = 2**12, 2**16
"""Bytes: the smallest dictionary that LZMA knows, and what is read of a packed file at once."""

PACKED_OTHERWISE = "packed in another way than a .zip usually is"


class ZipMembers:
    """The files in an open zip. See `archive.Members`."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._limits = limits
        self.skipped: tuple[Skip, ...] = ()
        self.told: dict[int, Told] = {}
        try:
            self._zip = zipfile.ZipFile(Bounded(file, limits))
        except OSError:
            raise
        except (*_DAMAGED, NotImplementedError) as error:
            raise Unreadable(f"no zip file that can be read ({error})") from None
        infos = self._zip.infolist()
        total = sum(info.file_size for info in infos)
        problem = size_problem(len(infos), total, file.seek(0, os.SEEK_END), limits)
        for info in infos:
            problem = problem or name_problem(info.orig_filename) or _entry_problem(info, limits)
        if problem:
            raise Unsafe(problem)
        if secret := next((info.filename for info in infos if info.flag_bits & _ENCRYPTED), ""):
            raise Unsafe(
                f"it is protected by a password, as {secret!r} is encrypted",
                "Pack your images again without a password.",
            )
        self._infos = [info for info in infos if not info.is_dir()]
        self.names = [plain_name(info.filename) for info in self._infos]
        self.stamps: list[Stamp] = [_stamp(info) for info in self._infos]

    def read(self, index: int) -> bytes:
        """All bytes of one; see `archive.Members`."""
        try:
            return read_entry(self._zip, self._infos[index], self._limits)
        except (*_DAMAGED, *_DAMAGED_ENTRY) as error:
            raise NotAnImage(f"damaged in the archive: {error}".rstrip(".")) from error

    def open(self, index: int) -> BinaryIO:
        """One of them, to look at its head. A `NotAnImage` when it is packed as `read_entry` has
        none."""
        info = self._infos[index]
        if info.compress_type not in _PACKED:  # a block of it may unpack to all memory there is
            raise NotAnImage(PACKED_OTHERWISE)
        if info.compress_type == zipfile.ZIP_LZMA:
            return io.BytesIO(self.read(index))
        return cast(BinaryIO, self._zip.open(info))


class Bounded(io.BufferedReader):
    """An archive's file, of which no more is taken into memory at once than an honest one needs.

    What it says of itself tells `zipfile` how much to read: a file of nothing but holes can ask
    for all memory there is.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        super().__init__(cast(io.RawIOBase, file))
        self._limits = limits

    def read(self, count: int | None = -1) -> bytes:
        """As of any file, within bounds."""
        most = self._limits.at_once
        data = super().read(most + 1 if count is None or count < 0 else min(count, most + 1))
        if len(data) > most:
            raise zipfile.BadZipFile("it asks for too much memory")
        if data.count(_ENTRY) > self._limits.entries:
            raise zipfile.BadZipFile(f"it has more than {self._limits.entries} entries")
        return data


def _entry_problem(info: zipfile.ZipInfo, limits: Limits) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return f"{info.filename!r} is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{info.filename!r} is no ordinary file"
    if info.file_size > limits.file_bytes:
        return f"{info.filename!r} unpacks to more than {gigabytes(limits.file_bytes)}"
    return ""


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> bytes:
    """The bytes of one file of an open archive.

    What its header claims was checked before; what comes out is counted here all the same.

    Raises:
        UserError: when more comes out than `limits` allow.
        NotAnImage: when it is packed in a way that knows no bounds.
    """
    if info.compress_type not in _PACKED:
        raise NotAnImage(PACKED_OTHERWISE)
    if info.compress_type == zipfile.ZIP_LZMA:
        return _from_lzma(archive, info)
    with archive.open(info) as file:
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise UserError(
            f"{archive.filename} was refused: {info.filename!r} unpacks to more than "
            f"{gigabytes(limits.file_bytes)}."
        )
    return data


def _from_lzma(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a file that is packed by LZMA: as many as its head claims, which was checked.

    `zipfile` gives what it reads to the library without a bound on what comes out, and takes
    memory for whatever dictionary the file asks for. One longer than the file is of no use.

    Source: APPNOTE.TXT of PKWARE, section 5.8.8, for the head of the packed bytes.
    """
    raw = copy.copy(info)
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, info.compress_size
    raw.CRC = None  # type: ignore[assignment]  # it is that of the unpacked bytes
    with archive.open(raw) as packed:
        about = packed.read(packed.read(4)[2] if info.compress_size > 4 else 0)
        if len(about) != 5:
            raise zipfile.BadZipFile("its head is not one of LZMA")
        rest, lc = divmod(about[0], 9)
        pb, lp = divmod(rest, 5)
        asked = int.from_bytes(about[1:], "little")
        filters = {
            "id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb,
            "dict_size": max(min(asked, info.file_size), LEAST_DICTIONARY),
        }  # fmt: skip
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])
        parts, left, more = [], info.file_size, True
        while left and more and not unpacker.eof:
            given = packed.read(STEP) if unpacker.needs_input else b""
            part = unpacker.decompress(given, left)
            parts.append(part)
            left -= len(part)
            more = bool(part or given)
    data = b"".join(parts)
    if left or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
    return data


def _stamp(info: zipfile.ZipInfo) -> Stamp:
    """Its bytes; and its checksum and time in one number."""
    year, month, day, hour, minute, second = info.date_time
    days = ((year % 128) * 16 + month) * 32 + day
    time = ((days * 32 + hour) * 64 + minute) * 32 + second // 2
    return info.file_size, ((info.CRC << 31) ^ time) % 2**63


archives.add(
    ArchiveFormat(
        name="zip",
        label=".zip",
        blurb="Folders in it become labels, or parts; one more archive deep.",
        endings=(".zip",),
        library="Python",
        pictures="those of the files in it",
        labels="its folders",
        build=ZipMembers,
        order=1,
        folder=True,
    )
)
