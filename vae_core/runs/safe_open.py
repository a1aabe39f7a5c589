"""Opening what somebody else may have put there: regular files inside a folder, and no others.

A link would show any file of this machine, a pipe would wait for ever, a device never ends. So each
name is looked at before it is opened, no link is followed at any level below the folder, nothing is
waited for, and what was opened is looked at again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NO_LINK

_RELATIVE = {os.open, os.stat} <= os.supports_dir_fd
"""Whether names can be looked up in a folder that is open, which nobody can exchange meanwhile."""

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegular(OSError):
    """Something else lies where a file, or a folder on the way to it, should."""

    def __init__(self, found: str, wanted: str = "file") -> None:
        super().__init__(errno.EINVAL, f"it is {found}, not a {wanted} of its own")

    def __str__(self) -> str:
        return str(self.strerror)


def open_inside(folder: Path, name: str) -> BinaryIO:
    """The regular file `name` ("status.json", "previews/originals.png") of `folder`, for reading. A
    FileNotFoundError when there is none, a NotRegular when it is anything else, or the folder or
    one on the way is a link, another OSError when it cannot be opened."""
    with _parent(folder, name) as (at, path):
        _require(_stat(at, path), stat.S_ISREG)
        handle = os.open(path, _FILE, dir_fd=at)
    try:
        _require(os.fstat(handle), stat.S_ISREG)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def stat_inside(folder: Path, name: str) -> os.stat_result | None:
    """What lies at `name`, itself and not what it may point to; None where nothing does. A
    NotRegular when the folder, or one on the way, is a link or no folder, and an OSError when it
    cannot be looked at."""
    try:
        with _parent(folder, name) as (at, path):
            return _stat(at, path)
    except FileNotFoundError:
        return None


def list_inside(folder: Path, name: str) -> list[str]:
    """The names in the folder `name` of `folder`, sorted; [] where there is none. Raises as
    `stat_inside`."""
    try:
        with _parent(folder, f"{name}/-") as (at, path):
            return sorted(os.listdir(os.path.dirname(path) if at is None else at))
    except FileNotFoundError:
        return []


def kind_of(found: os.stat_result) -> str:
    """What it is, in words; "" for a regular file."""
    return _KINDS.get(stat.S_IFMT(found.st_mode), "")


@contextmanager
def _parent(folder: Path, name: str) -> Iterator[tuple[int | None, str]]:
    """The folder that `name` lies in, open, and the last part of it; None and the whole path where
    the system cannot open folders."""
    *ways, last = name.split("/")
    if not all(part not in ("", ".", "..") and "\0" not in part for part in (*ways, last)):
        raise NotRegular("no name of a file")
    if not _RELATIVE:  # Windows: what is exchanged between two looks is seen by none
        for each in (folder, *(folder.joinpath(*ways[: i + 1]) for i in range(len(ways)))):
            _require(os.lstat(each), stat.S_ISDIR, "folder")
        yield None, str(folder / name)
        return
    _require(os.lstat(folder), stat.S_ISDIR, "folder")
    at = os.open(folder, _FOLDER)
    try:
        for way in ways:
            _require(_stat(at, way), stat.S_ISDIR, "folder")
            inner = os.open(way, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        yield at, last
    finally:
        os.close(at)


def _stat(at: int | None, path: str) -> os.stat_result:
    return os.stat(path, dir_fd=at, follow_symlinks=False)


def _require(found: os.stat_result, is_one: Callable[[int], bool], wanted: str = "file") -> None:
    if not is_one(found.st_mode):
        raise NotRegular(kind_of(found) or "a file", wanted)
