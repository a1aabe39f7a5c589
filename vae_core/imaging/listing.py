"""Which pictures a folder holds, and what else lies there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vae_core.errors import UserError
from vae_core.imaging.decode import EXTENSIONS
from vae_core.imaging.reading import Stamp, read_whole, reason_of, stamp_of
from vae_core.progress import Progress, no_progress
from vae_core.units import grouped

LISTING = "Looking through the files"
MOST_FILES = 5_000_000
"""About 1 GB of names and times."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Skip:
    """A file that gives no picture, and why in a few words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """Picture files in the order of their names, and what was left out.

    Hundreds of thousands are listed while torch fills most of a GB: what is known of a file is a
    string and a row of numbers, with no object of its own.

    root: the folder or archive that they lie in.
    stamps: int64 [N, K]; a file's row changes when its content does. It begins with its bytes.
    read: gives the bytes of the file at an index; any thread may call it. It raises `Refused` or
        `NotAnImage` for what is no picture, and `OSError` where it cannot tell.
    labels: what the files themselves say that each picture shows, "" where they say nothing; None
        where no file says anything.
    columns: what else they say of each picture, by name: N numbers or texts, None where it is
        not said.
    read_other: the same for a file among the skipped ones, such as a table of labels, by its name.
    """

    root: Path
    names: tuple[str, ...]
    stamps: np.ndarray
    read: Callable[[int], bytes]
    skipped: tuple[Skip, ...]
    labels: Sequence[str] | None = None
    columns: Mapping[str, Sequence[float | str | None]] = field(default_factory=dict)
    read_other: Callable[[str], bytes] = field(default=lambda name: b"", repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> str:
        """SHA-256 of names and stamps: another one when a file comes, goes or changes."""
        content = hashlib.sha256(np.ascontiguousarray(self.stamps).data)
        for name in self.names:  # a system may give names that are no valid text: surrogates
            content.update(name.encode("utf-8", "surrogatepass") + b"\0")
        return content.hexdigest()


def is_system_file(name: str) -> bool:
    """True for what systems leave behind (dot files, Thumbs.db, __MACOSX): never mentioned."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_FILES for part in name.split("/"))


def has_image_name(name: str) -> bool:
    """True where the extension is one of a picture."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def list_folder(
    path: Path, progress: Progress = no_progress, links: bool = True, most: int = MOST_FILES
) -> Listing:
    """The pictures in `path` and in the folders inside it.

    Links to files are followed, those to folders are not: they could lead in circles.

    Args:
        links: False leaves links to files out as well, for folders that come from strangers.
        most: how many files of any kind may lie there.

    Raises:
        UserError: when `path`, a folder or a file in it cannot be reached, or there are too many.
    """
    names: list[str] = []
    stamps = array("q")
    skipped: list[Skip] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        for entry in _entries(path, inside):
            name = inside + entry.name
            if is_system_file(entry.name):
                continue
            if (len(names) + len(skipped)) % 1000 == 0:
                progress(f"{LISTING}: {grouped(len(names))} images so far", None)
            if len(names) + len(skipped) >= most:
                raise UserError(
                    f"There are more than {grouped(most)} files in {path}. Name the folder in it "
                    "that holds the images."
                )
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name + "/")
                    continue
                stamp, reason = _stamp_or_reason(entry, links)
            except OSError as error:
                raise _unreachable(Path(entry.path), error) from None
            if stamp is None:
                skipped.append(Skip(name, reason))
            else:
                names.append(name)
                stamps.extend(stamp)
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = tuple(names[i] for i in order)
    known = np.array(stamps, np.int64).reshape(-1, 2)[order]

    def read(index: int) -> bytes:
        size, changed = known[index].tolist()
        return read_whole(os.path.join(path, ordered[index]), stamp=(size, changed))

    def read_other(name: str) -> bytes:
        return read_whole(os.path.join(path, name))

    skips = tuple(sorted(skipped, key=lambda skip: skip.name))
    return Listing(path, ordered, known, read, skips, read_other=read_other)


def _entries(path: Path, inside: str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder. Not `os.walk`: it takes a folder that breaks off for a short one."""
    folder = os.path.join(path, inside) if inside else str(path)
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise _unreachable(Path(folder), error) from None


def _stamp_or_reason(entry: os.DirEntry[str], links: bool) -> tuple[Stamp | None, str]:
    """What a picture file is known by, or None and why it is left out. One look at each file.

    Raises:
        OSError: when it cannot be looked at. A link to nowhere can: it leads nowhere.
    """
    is_link = entry.is_symlink()
    if is_link and not links:
        return None, "a link"
    if not is_link and not has_image_name(entry.name):
        return None, "no image"
    try:
        found = entry.stat()
    except OSError as error:
        if is_link and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None, "a link to nowhere"
        raise
    if stat.S_ISDIR(found.st_mode):
        return None, "a link to a folder"
    if not has_image_name(entry.name):
        return None, "no image"
    return (stamp_of(found), "") if stat.S_ISREG(found.st_mode) else (None, "no ordinary file")


def _unreachable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be reached: {reason_of(error)}. Check its permissions and that its drive "
        "is there, then try again."
    )


def skipped_note(skipped: Sequence[Skip], total: int, shown: int = 5) -> str:
    """One sentence that counts and lists what was skipped of `total` files."""
    listed = ", ".join(f"{skip.name} ({skip.reason})" for skip in skipped[:shown])
    more = f" and {len(skipped) - shown} more" if len(skipped) > shown else ""
    were = "was" if len(skipped) == 1 else "were"
    files = "file" if total == 1 else "files"
    return f"{len(skipped)} of {total} {files} {were} skipped: {listed}{more}."
