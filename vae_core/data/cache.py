"""What is kept to save time: prepared images, what was derived from runs, compiled networks, images
that were sent to this machine of a cluster, and uploads; its bound and who uses it.

Many may use an entry, one alone may fill or remove it: by the system's locks on files, which end
with the process that holds them however it ends. Nothing asks for process ids or for the time.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from vae_core.data.npy import SUMMARY
from vae_core.errors import UserError
from vae_core.locations import CACHE_VARIABLE, cache_folder, uploads_folder
from vae_core.units import gigabytes

try:
    import fcntl
except ImportError:  # Windows, where no file can be removed while it is open
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""In a folder of the cache the file that stands for it; its time is that of the last use."""

LIMIT_VARIABLE = "VAE_CACHE_GB"
DEFAULT_LIMIT_GB = 20.0
"""Room for a million colour images of 64×64, which take 12.3 GB, and some smaller sets beside."""

DEFAULT_SHARE = 0.1
"""Of the disk, where that is less."""

Kind = Literal["prepared", "unfinished", "derived", "compiled", "sent", "upload"]
REPRODUCIBLE: tuple[Kind, ...] = ("prepared", "unfinished", "derived", "compiled", "sent")
"""What costs nothing but time when it is missed."""

_NAMES: dict[Kind, re.Pattern[str]] = {
    "prepared": re.compile(r"(?!derived-|compiled-)[a-z0-9_]+-[0-9a-f]{20}|\.preparing-\w+"),
    "derived": re.compile(r"derived-[0-9a-f]{20}"),
    "compiled": re.compile(r"compiled(-[0-9a-f]{20})?"),  # earlier versions had one for all
    "sent": re.compile(r"sent-[0-9a-f]{64}"),
    "upload": re.compile(r"[0-9a-f]{32}|.+-[0-9a-f]{12}(\.zip)?"),
}
"""The names that we give. What else lies in these folders is not ours to remove."""


class CacheLock:
    """What holds an entry, a folder or a file, until it is released or garbage."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def share(self) -> None:
        """Let others use it too, from now on."""
        if self._file is not None and fcntl is not None:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()


def acquire(entry: Path, exclusive: bool) -> CacheLock | None:
    """Hold `entry` if nobody is in the way: whoever fills or removes it, or, `exclusive`, anybody.

    Raises:
        OSError: when it is not there or cannot be opened.
    """
    while True:
        is_file = entry.is_file()
        path = entry if is_file else entry / LOCK
        file = path.open(("r+b" if exclusive else "rb") if is_file else "a+b", buffering=0)
        try:
            if fcntl is not None:
                kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
                fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:  # a file system without locks: nobody is kept out there
            pass
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return CacheLock(cast(BinaryIO, file))
        file.close()  # it was removed in the meantime; look again at what is there now


def mark_used(entry: Path) -> None:
    """Note that `entry` is used now."""
    with suppress(OSError):
        if entry.is_file():  # the time of its last change is left as it is
            os.utime(entry, ns=(time.time_ns(), entry.stat().st_mtime_ns))
        else:
            (entry / LOCK).touch()


@dataclass(frozen=True)
class CacheEntry:
    """One set of prepared images, what was derived from one run, what was compiled of one network,
    one collection that was sent here, or one upload.

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
            lock = acquire(self.path, exclusive=True)
        except OSError:
            return False
        if lock is not None:
            lock.release()
        return lock is None


def size_limit() -> int:
    """Bytes that all of it may take together: what VAE_CACHE_GB names, else 20 GB, or a tenth of
    the disk where that is less.

    Raises:
        UserError: when the variable is no such number.
    """
    named = os.environ.get(LIMIT_VARIABLE)
    if named:
        with suppress(ValueError):
            gb = float(named)
            if 0 <= gb < float("inf"):
                return int(gb * 1e9)
        raise UserError(
            f"{LIMIT_VARIABLE} is {named!r}; let it be a number of GB of 0 or more, such as 20."
        )
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    return int(min(DEFAULT_LIMIT_GB * 1e9, DEFAULT_SHARE * shutil.disk_usage(folder).total))


def entries() -> list[CacheEntry]:
    """All that is kept, the least recently used first."""
    found = [
        *_within(cache_folder(), "prepared"),
        *_within(cache_folder(), "derived"),
        *_within(cache_folder(), "compiled"),
        *_within(cache_folder(), "sent"),
        *_within(uploads_folder(), "upload"),
    ]
    return sorted(found, key=lambda entry: entry.used)


def prune(
    most: int | None = None, kinds: Collection[Kind] = REPRODUCIBLE, keep: Collection[Path] = ()
) -> list[CacheEntry]:
    """Remove what was not used for longest until no more than `most` bytes are kept in all.

    What is in use stays.

    Args:
        most: bytes; None takes `size_limit()`.
        kinds: what may be removed.
        keep: uploads that are still needed, whole or something in them.

    Returns:
        What was removed.

    Raises:
        UserError: as `size_limit`.
    """
    most = size_limit() if most is None else most
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


def free_space(size: int, folder: Path) -> None:
    """Remove what can be made again, that first which was not used for longest, until `size` bytes
    are free on the disk of `folder`."""
    for entry in entries():
        if shutil.disk_usage(folder).free >= size:
            return
        if entry.kind in REPRODUCIBLE:
            _remove(entry.path)


def require_space(size: int, entry: Path, what: str, less: str = "") -> None:
    """Refuse at the start what would fail after hours, once all has gone that can be made again.

    Args:
        size: bytes that are to come into `entry`.
        what: what they are, as the beginning of a sentence.
        less: how one could do with fewer, with a comma and a space behind it.

    Raises:
        UserError: when they are more than is free there.
    """
    free_space(size, entry)
    free = shutil.disk_usage(entry).free
    if free < size:
        raise UserError(
            f"{what} take {gigabytes(size)}, and {gigabytes(free)} are free in {entry.parent}. "
            f"Free some space there, {less}or let the environment variable {CACHE_VARIABLE} name "
            "another folder."
        )


def lock_upload(path: Path) -> CacheLock | None:
    """Keep an upload, if `path` lies in one, from being removed while the lock is kept."""
    folder = uploads_folder()
    if not path.is_relative_to(folder) or path == folder:
        return None
    entry = folder / path.relative_to(folder).parts[0]
    with suppress(OSError):
        mark_used(entry)
        return acquire(entry, exclusive=False)
    return None


def _within(folder: Path, kind: Kind) -> Iterator[CacheEntry]:
    with suppress(OSError):  # there is no such folder, or another process has just removed one
        for path in folder.iterdir():
            if _NAMES[kind].fullmatch(path.name) and not path.is_symlink():
                finished = kind not in ("prepared", "sent") or (path / SUMMARY).exists()
                found = kind if finished else "unfinished"
                yield CacheEntry(path, found, _size(path), _used(path, kind))


def _size(path: Path) -> int:
    """Bytes on the disk, the holes of a file not counted."""
    files = [str(path)]
    for folder, folders, names in os.walk(path):  # which passes over what vanishes meanwhile
        files += [os.path.join(folder, name) for name in (*folders, *names)]
    total = 0
    for file in files:
        with suppress(OSError):
            found = os.lstat(file)
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
        lock = acquire(path, exclusive=True)
    except OSError:
        lock = None if path.exists() else CacheLock(None)
    if lock is None:
        return False
    try:
        # What says that it is whole goes first: whoever comes by sees all of it or none.
        (path / SUMMARY).unlink(missing_ok=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else None
    except OSError:
        return False
    finally:
        lock.release()
    return not path.exists()
