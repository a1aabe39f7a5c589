"""Pictures inside a .zip, read without ever unpacking it to disk, with bounds against bombs."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vae_core.data.listing import Listing, Skip, has_image_name, is_litter
from vae_core.errors import UserError


@dataclass(frozen=True)
class ZipLimits:
    """What a zip may hold at most.

    ratio: unpacked over packed size of the whole archive; only asked from `ratio_from` bytes on,
        since a few flat pictures pack very well.
    """

    entries: int = 1_000_000
    total_bytes: int = 20_000_000_000
    file_bytes: int = 200_000_000
    ratio: float = 200.0
    ratio_from: int = 50_000_000


_DRIVE = re.compile(r"[A-Za-z]:")
_NESTED = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
_DAMAGED = (zipfile.BadZipFile, struct.error, ValueError, OverflowError, EOFError, KeyError)


@contextmanager
def open_zip(path: Path, limits: ZipLimits = ZipLimits()) -> Iterator[Listing]:
    """The pictures in the zip at `path`; `open` works inside the `with` block.

    Archives inside the archive are listed as skipped.

    Raises:
        UserError: when it is no zip, is damaged, is encrypted, or is unsafe: names that lead out
            of a folder, links, or more than `limits` allow.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (*_DAMAGED, NotImplementedError) as error:
        raise UserError(
            f"{path} is no zip file that can be read ({error}). Pack your images again as .zip, "
            "or name a folder."
        ) from None
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        problem = _problem(archive.infolist(), path.stat().st_size, limits)
        if problem:
            raise UserError(
                f"{path.name} was refused: {problem}. Pack only your images and try again."
            )
        named = sorted(((_name(info), info) for info in infos), key=lambda pair: pair[0])
        named = [(name, info) for name, info in named if not is_litter(name)]
        pictures = [(name, info) for name, info in named if has_image_name(name)]
        yield Listing(
            tuple(name for name, _ in pictures),
            np.fromiter((_stamp(info) for _, info in pictures), np.dtype((np.int64, 8))),
            lambda index: open_entry(archive, pictures[index][1], limits),
            tuple(Skip(name, _why_not(name)) for name, _ in named if not has_image_name(name)),
        )


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
        return f"it unpacks to {_size(total)}, more than {_size(limits.total_bytes)}"
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
        return f"{info.filename!r} unpacks to more than {_size(limits.file_bytes)}"
    return ""


def open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ZipLimits) -> BinaryIO:
    """The bytes of one file of an open archive, in memory.

    What its header claims was checked before; what comes out is counted here all the same.

    Raises:
        UserError: when more comes out than `limits` allow.
    """
    with archive.open(info) as file:
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise UserError(
            f"{archive.filename} was refused: {info.filename!r} unpacks to more than "
            f"{_size(limits.file_bytes)}."
        )
    return io.BytesIO(data)


def _stamp(info: zipfile.ZipInfo) -> tuple[int, ...]:
    return info.file_size, info.CRC, *info.date_time


def _why_not(name: str) -> str:
    return "archive in the archive" if name.lower().endswith(_NESTED) else "no image"


def _name(info: zipfile.ZipInfo) -> str:
    """The name with slashes and without the `./` that some packers write."""
    parts = info.filename.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
