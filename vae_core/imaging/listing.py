"""The pictures that a place holds, in order, and what else lies there: what `walk.py` has found,
once the pictures in each file are counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vae_core.imaging.archive import Told
from vae_core.imaging.counting import Counted
from vae_core.imaging.files import Files
from vae_core.imaging.kinds import Cell, Contents, picture_name
from vae_core.imaging.reading import Picture, Skip
from vae_core.imaging.tables import MOST_COLUMNS
from vae_core.units import grouped

Pages = Literal["all", "first"]


@dataclass(frozen=True)
class Listing:
    """Pictures in the order of the names of their files, and what was left out.

    root: the folder, archive or file that they lie in.
    names: of each picture, as a person recognises it: `cats/a.jpg`, `stack.tif#07`,
        `shard-000.tar/0001.png`.
    stamps: int64 [N, K]; a picture's row changes when its file does. It begins with its share of
        the bytes of the file.
    read: gives the picture at an index as it is decoded; any thread may call it. It raises
        `Refused` or `NotAnImage` for what is no picture, and `OSError` where it cannot tell.
    labels: what the files themselves say that each picture shows, "" where they say nothing; None
        where no file says anything. Folders are not asked here.
    columns: what else they say of each picture, by name: N numbers or texts, None where it is
        not said.
    notes: sentences on how the pictures were chosen, such as how many pages there are.
    read_other: gives all bytes of a file among the skipped ones, such as a table of labels, by its
        name; it raises what `read` does.
    """

    root: Path
    names: tuple[str, ...]
    stamps: np.ndarray
    read: Callable[[int], Picture]
    skipped: tuple[Skip, ...]
    labels: Sequence[str] | None = None
    columns: Mapping[str, Sequence[Cell]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    read_other: Callable[[str], bytes] = field(default=lambda name: b"", repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> str:
        """SHA-256 of names and stamps: another one when a file comes, goes or changes."""
        content = hashlib.sha256(np.ascontiguousarray(self.stamps).data)
        for name in self.names:  # a system may give names that are no valid text: surrogates
            content.update(name.encode("utf-8", "surrogatepass") + b"\0")
        return content.hexdigest()


def listed(
    root: Path,
    files: Files,
    counted: Counted,
    skipped: list[Skip],
    told: Mapping[tuple[int, int], Told],
    pages: Pages,
) -> Listing:
    """The pictures of all files, one after the other; those in `skipped` are none."""
    skipped += (Skip(files.names[i], reason) for i, reason in counted.reasons.items())
    skips = tuple(sorted(skipped, key=lambda skip: skip.name))
    held, notes = counted.counts, _notes(files, counted, pages)
    taken = np.minimum(held, 1) if pages == "first" else held
    if (taken == 1).all() and not counted.contents:
        return Listing(
            root,
            tuple(files.names),
            files.stamps,
            files.picture,
            skips,
            *_said(files, {}, told, taken),
        )
    file_of = np.repeat(np.arange(len(files)), taken)
    page_of = np.arange(len(file_of)) - np.repeat(np.cumsum(taken) - taken, taken)
    names = tuple(
        files.names[i] if held[i] == 1 else picture_name(files.names[i], counted.contents[i], page)
        for i, page in zip(file_of.tolist(), page_of.tolist(), strict=True)
    )
    stamps = files.stamps[file_of]
    stamps[:, 0] = -(-stamps[:, 0] // held[file_of])

    def read(index: int) -> Picture:
        i = int(file_of[index])
        return files.picture(i, int(page_of[index]), alone=held[i] == 1)

    labels, columns = _said(files, counted.contents, told, taken)
    return Listing(root, names, stamps, read, skips, labels, columns, notes)


def _said(
    files: Files,
    contents: Mapping[int, Contents],
    told: Mapping[tuple[int, int], Told],
    taken: np.ndarray,
) -> tuple[list[str] | None, dict[str, list[Cell]]]:
    """Labels and columns of all pictures, out of what each file and each archive says of them."""
    if not told and not any(each.labels or each.columns for each in contents.values()):
        return None, {}
    total, start = int(taken.sum()), 0
    labels: list[str] = [""] * total
    columns: dict[str, list[Cell]] = {}
    for i, count in enumerate(taken.tolist()):
        own = contents.get(i)
        of_archive = told.get(files.holding(i)) if told else None
        cells: dict[str, Sequence[Cell]] = {}
        if of_archive is not None:
            labels[start : start + count] = [of_archive.label] * count
            cells = {name: [cell] * count for name, cell in of_archive.columns.items()}
        if own is not None:
            if own.labels is not None:
                labels[start : start + count] = own.labels[:count]
            cells |= own.columns
        for name, values in cells.items():
            if name in columns or len(columns) < MOST_COLUMNS:
                column = columns.setdefault(name, [None] * total)
                column[start : start + count] = values[:count]
        start += count
    return (labels if any(labels) else None), columns


def _notes(files: Files, counted: Counted, pages: Pages) -> tuple[str, ...]:
    """A sentence on files of several pictures, if there are any."""
    several = np.flatnonzero(counted.counts > 1)
    if not len(several):
        return ()
    total = int(counted.counts[several].sum())
    first = int(several[0])
    part = files.format(first).part
    if len(several) == 1:
        what = f"{files.names[first]} holds {grouped(total)} {part}s"
    else:
        such = f"{files.names[first]} has {grouped(int(counted.counts[first]))} {part}s"
        what = f"{len(several)} files hold {grouped(total)} pictures ({such})"
    if pages == "all":
        return (f"{what}; each is a picture of its own.",)
    left = total - len(several)
    return (
        f"{what}; the first of each was taken and {grouped(left)} were left out, as data.pages "
        "says: all takes every one.",
    )


def skipped_note(skipped: Sequence[Skip], total: int, shown: int = 5) -> str:
    """One sentence that counts and lists what was skipped of `total` files."""
    listed = ", ".join(f"{skip.name} ({skip.reason})" for skip in skipped[:shown])
    more = f" and {len(skipped) - shown} more" if len(skipped) > shown else ""
    were = "was" if len(skipped) == 1 else "were"
    files = "file" if total == 1 else "files"
    return f"{len(skipped)} of {total} {files} {were} skipped: {listed}{more}."
