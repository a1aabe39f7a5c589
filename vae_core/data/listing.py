"""Which pictures a folder holds, and what else lies there."""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vae_core.data.decode import EXTENSIONS
from vae_core.errors import UserError

NO_FOLDER = "(no folder)"
"""Label of pictures that lie beside the folders that label the others."""

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


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

    stamps: int64 [N, K]; a file's row changes when its content does.
    open: gives the bytes of the file at an index; any thread may call it.
    """

    names: tuple[str, ...]
    stamps: np.ndarray
    open: Callable[[int], BinaryIO]
    skipped: tuple[Skip, ...]

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> str:
        """SHA-256 of names and stamps: another one when a file comes, goes or changes."""
        content = hashlib.sha256(np.ascontiguousarray(self.stamps).data)
        for name in self.names:  # a system may give names that are no valid text: surrogates
            content.update(name.encode("utf-8", "surrogatepass") + b"\0")
        return content.hexdigest()


def is_litter(name: str) -> bool:
    """True for what systems leave behind (dot files, Thumbs.db, __MACOSX): never mentioned."""
    return any(part.startswith(".") or part.lower() in _LITTER for part in name.split("/"))


def has_image_name(name: str) -> bool:
    """True where the extension is one of a picture."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def list_folder(path: Path) -> Listing:
    """The pictures in `path` and in the folders inside it.

    Raises:
        UserError: when `path` cannot be read.
    """
    names: list[str] = []
    stamps = array("q")
    skipped: list[Skip] = []

    def cannot_enter(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == path:
            raise UserError(
                f"The folder {path} cannot be read: {error.strerror or error}. "
                "Check its permissions."
            ) from None
        name = Path(error.filename).relative_to(path).as_posix()
        skipped.append(Skip(name, "cannot be read"))

    # Plain strings and one stat a file: with 200 000 files, pathlib would take the longest.
    for folder, _, files in os.walk(path, onerror=cannot_enter):
        inside = "" if folder == str(path) else Path(folder).relative_to(path).as_posix() + "/"
        for file in files:
            name = inside + file
            if is_litter(name):
                continue
            if not has_image_name(name):
                skipped.append(Skip(name, "no image"))
                continue
            full = os.path.join(folder, file)
            found = _regular(full)
            if found is None:  # a pipe or a link to nowhere
                skipped.append(Skip(name, "no file"))
            else:
                names.append(name)
                stamps.extend((found.st_size, found.st_mtime_ns))
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = tuple(names[i] for i in order)
    return Listing(
        ordered,
        np.array(stamps, np.int64).reshape(-1, 2)[order],
        lambda index: open(os.path.join(path, ordered[index]), "rb"),
        tuple(sorted(skipped, key=lambda skip: skip.name)),
    )


def _regular(path: str) -> os.stat_result | None:
    """What the system says of an ordinary file; None for anything else."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def labels_from(names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels int64 [N] from the folders in which files lie, and their names.

    Folders that all files share say nothing and are left out. (None, ()) where fewer than two
    folders remain.
    """
    numbers: dict[str, int] = {}  # of the few folders, not of the many files
    which = (numbers.setdefault(name.rpartition("/")[0], len(numbers)) for name in names)
    folder_of = np.fromiter(which, np.int64, len(names))
    parents = [tuple(filter(None, folder.split("/"))) for folder in numbers]
    first, last = min(parents), max(parents)  # what these two share, all in between share
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))))
    folders = ["/".join(parts[shared:]) or NO_FOLDER for parts in parents]
    label_names, labels = np.unique(np.array(folders, dtype=object), return_inverse=True)
    if len(label_names) < 2:
        return None, ()
    return labels.astype(np.int64)[folder_of], tuple(map(str, label_names))


def labels_among(names: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    """Labels int64 [N] into `known` of files, each by the folders that it lies in; None where one
    lies in no such folder. For files of which a single folder is left, which `labels_from` leaves
    unlabelled."""
    number = {label: i for i, label in enumerate(known)}
    found = []
    for name in names:
        folders = name.split("/")[:-1]
        tails = ("/".join(folders[i:]) for i in range(len(folders)))
        label = next((number[tail] for tail in tails if tail in number), None)
        if label is None:
            return None
        found.append(label)
    return np.array(found, np.int64)


def skipped_note(skipped: Sequence[Skip], total: int, shown: int = 5) -> str:
    """One sentence that counts and lists what was skipped of `total` files."""
    listed = ", ".join(f"{skip.name} ({skip.reason})" for skip in skipped[:shown])
    more = f" and {len(skipped) - shown} more" if len(skipped) > shown else ""
    were = "was" if len(skipped) == 1 else "were"
    files = "file" if total == 1 else "files"
    return f"{len(skipped)} of {total} {files} {were} skipped: {listed}{more}."
