"""What is kept to save time: prepared images, what was derived from runs, and uploads; how much of
it, and how it is bounded."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vae_core.data.lease import LOCK, Lease, take, touch
from vae_core.data.rows import ABOUT
from vae_core.errors import UserError
from vae_core.locations import cache_folder, uploads_folder

BOUND_VARIABLE = "VAE_CACHE_GB"
USUAL_BOUND_GB = 20.0
"""Room for a million colour images of 64×64, which take 12.3 GB, and some smaller sets beside."""

USUAL_SHARE = 0.1
"""Of the disk, where that is less."""

Kind = Literal["prepared", "unfinished", "derived", "upload"]
MADE_AGAIN: tuple[Kind, ...] = ("prepared", "unfinished", "derived")
"""What costs nothing but time when it is missed."""

_OURS: dict[Kind, re.Pattern[str]] = {
    "prepared": re.compile(r"(?!derived-)[a-z0-9_]+-[0-9a-f]{20}|\.preparing-\w+"),
    "derived": re.compile(r"derived-[0-9a-f]{20}"),
    "upload": re.compile(r"[0-9a-f]{32}|.+-[0-9a-f]{12}(\.zip)?"),
}
"""The names that we give. What else lies in these folders is not ours to remove."""


@dataclass(frozen=True)
class Entry:
    """One set of prepared images, what was derived from one run, or one upload.

    size: bytes on the disk. used: when it was used last, in seconds since 1970.
    """

    path: Path
    kind: Kind
    size: int
    used: float

    @property
    def in_use(self) -> bool:
        """True while a process trains on it or shows it."""
        try:
            lease = take(self.path, alone=True)
        except OSError:
            return False
        if lease is not None:
            lease.release()
        return lease is None


def bound() -> int:
    """Bytes that all of it may take together: what VAE_CACHE_GB names, else 20 GB, or a tenth of
    the disk where that is less.

    Raises:
        UserError: when the variable is no such number.
    """
    named = os.environ.get(BOUND_VARIABLE)
    if named:
        with suppress(ValueError):
            gb = float(named)
            if 0 <= gb < float("inf"):
                return int(gb * 1e9)
        raise UserError(
            f"{BOUND_VARIABLE} is {named!r}; let it be a number of GB of 0 or more, such as 20."
        )
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    return int(min(USUAL_BOUND_GB * 1e9, USUAL_SHARE * shutil.disk_usage(folder).total))


def entries() -> list[Entry]:
    """All that is kept, the least recently used first."""
    found = [
        *_within(cache_folder(), "prepared"),
        *_within(cache_folder(), "derived"),
        *_within(uploads_folder(), "upload"),
    ]
    return sorted(found, key=lambda entry: entry.used)


def prune(
    most: int | None = None, kinds: Collection[Kind] = MADE_AGAIN, keep: Collection[Path] = ()
) -> list[Entry]:
    """Remove what was not used for longest until no more than `most` bytes are kept in all.

    What is in use stays.

    Args:
        most: bytes; None takes `bound()`.
        kinds: what may be removed.
        keep: uploads that are still needed, whole or something in them.

    Returns:
        What was removed.

    Raises:
        UserError: as `bound`.
    """
    most = bound() if most is None else most
    kept = entries()
    total = sum(entry.size for entry in kept)
    removed = []
    for entry in kept:
        if total <= most:
            break
        needed = any(path.is_relative_to(entry.path) for path in keep)
        if entry.kind in kinds and not needed and _remove(entry.path):
            total -= entry.size
            removed.append(entry)
    return removed


def make_room(size: int, folder: Path) -> None:
    """Remove what can be made again, that first which was not used for longest, until `size` bytes
    are free on the disk of `folder`."""
    for entry in entries():
        if shutil.disk_usage(folder).free >= size:
            return
        if entry.kind in MADE_AGAIN:
            _remove(entry.path)


def hold(path: Path) -> Lease | None:
    """Keep an upload, if `path` lies in one, from being removed while the lease is kept."""
    folder = uploads_folder()
    if not path.is_relative_to(folder) or path == folder:
        return None
    entry = folder / path.relative_to(folder).parts[0]
    with suppress(OSError):
        touch(entry)
        return take(entry, alone=False)
    return None


def _within(folder: Path, kind: Kind) -> Iterator[Entry]:
    with suppress(OSError):  # there is no such folder, or another process has just removed one
        for path in folder.iterdir():
            if _OURS[kind].fullmatch(path.name) and not path.is_symlink():
                finished = kind != "prepared" or (path / ABOUT).exists()
                found = kind if finished else "unfinished"
                yield Entry(path, found, _size(path), _used(path, kind))


def _size(path: Path) -> int:
    """Bytes on the disk, the holes of a file not counted."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    total = 0
    for file in files:
        with suppress(OSError):
            found = file.lstat()
            total += getattr(found, "st_blocks", -(-found.st_size // 512)) * 512
    return total


def _used(path: Path, kind: Kind) -> float:
    with suppress(OSError):
        if kind == "derived":  # nothing holds it: the newest of its files was written or read then
            return max(file.stat().st_mtime for file in [path, *path.iterdir()])
    for place in (path / LOCK, path):
        with suppress(OSError):
            found = place.stat()
            return max(found.st_mtime, found.st_atime if path == place else 0)
    return 0.0


def _remove(path: Path) -> bool:
    """True where nobody used it and it is gone."""
    try:
        lease = take(path, alone=True)
    except OSError:
        lease = None if path.exists() else Lease(None)
    if lease is None:
        return False
    try:
        # What says that it is whole goes first: whoever comes by sees all of it or none.
        (path / ABOUT).unlink(missing_ok=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else None
    except OSError:
        return False
    finally:
        lease.release()
    return not path.exists()
