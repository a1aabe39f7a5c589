"""Files of files: what each kind of archive gives, and the bounds against what is no honest one.

Nothing of them is ever unpacked to disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from vae_core.imaging.kinds import Cell
from vae_core.imaging.reading import Skip, Stamp
from vae_core.units import gigabytes


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most, with those inside it.

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


class Unsafe(Exception):
    """The archive is refused as a whole; the message says what is in it, `cure` what to do."""

    def __init__(self, problem: str, cure: str = "Pack only your images and try again.") -> None:
        super().__init__(problem)
        self.cure = cure


class Unreadable(Exception):
    """The archive is none, or is damaged; the message says what it is not."""


@dataclass(frozen=True)
class Told:
    """What an archive says of one of its pictures."""

    label: str = ""
    columns: Mapping[str, Cell] = field(default_factory=dict)


class Members(Protocol):
    """The files in an open archive. Any thread may read them.

    names: of all files, with slashes, in any order; stamps: what each is known by, its bytes first.
    skipped: what is no file that can be read.
    told: what the archive says of some, by their places in `names`.
    """

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def stamps(self) -> Sequence[Stamp]: ...
    @property
    def skipped(self) -> Sequence[Skip]: ...
    @property
    def told(self) -> Mapping[int, Told]: ...

    def read(self, index: int) -> bytes:
        """All bytes of one.

        Raises:
            NotAnImage: when it is damaged.
            OSError: when the archive cannot be read, or has changed.
            UserError: when more comes out than is allowed.
        """

    def open(self, index: int) -> BinaryIO:
        """One of them, to look at its head: `several` of a format does."""


Open = Callable[[BinaryIO, Limits], Members]
"""How a kind of archive is opened.

Raises:
    Unsafe: when it holds what no honest one does.
    Unreadable: when it is damaged, or none.
"""


_DRIVE = re.compile(r"[A-Za-z]:")


def name_problem(name: str) -> str:
    """Why a name is refused, "" where it may be one."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return f"the name {name!r} leads out of the folder"
    if not parts[0] or _DRIVE.match(name):
        return f"the name {name!r} is an absolute path"
    return f"the name {name!r} holds a zero byte" if "\0" in name else ""


def plain_name(name: str) -> str:
    """The name with slashes and without the `./` that some packers write."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def size_problem(entries: int, total: int, packed: int, limits: Limits) -> str:
    """Why an archive of so many entries and bytes is refused, "" where it is not."""
    if entries > limits.entries:
        return f"it has {entries} entries, more than {limits.entries}"
    if total > limits.total_bytes:
        return f"it unpacks to {gigabytes(total)}, more than {gigabytes(limits.total_bytes)}"
    if total > limits.ratio_from and total > limits.ratio * packed:
        return f"it unpacks to {total // max(packed, 1)} times its size, as no images do"
    return ""
