"""What a kind of file says of itself: how it is told, what reads it, which pictures it holds.

A format is one file in `formats/` that registers itself. `formats` are files of pictures,
`archives` files of files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from vae_core.registry import Entry, Registry

if TYPE_CHECKING:
    from vae_core.imaging.archive import Members

PROJECT = "latent-workbench"
"""What pip installs the extras of."""

Cell = str | float | None


class NotAnImage(Exception):
    """The file gives no picture; the message says why in a few words."""


@dataclass(frozen=True)
class Contents:
    """What a file of several pictures holds.

    names: of each picture, where the file names them; empty where they are numbered. A folder in
        a name stands for one that the file lies in.
    labels: what each shows, "" where it is not said; None where none is said.
    columns: what else is said of each, by name.
    """

    count: int
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    columns: Mapping[str, Sequence[Cell]] = field(default_factory=dict)


class Opened(Protocol):
    """An open file of pictures. One thread uses it; pictures are asked for mostly in order."""

    def contents(self) -> Contents:
        """What it holds, told by its head.

        Raises:
            NotAnImage: when it holds no pictures or is damaged.
        """

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """The values of a picture as `decode.read_values` gives them, before they are tidied.

        Args:
            least: (width, height) that are enough.
        """

    def close(self) -> None:
        """Let go of what was opened beside the file itself, which is the caller's."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a table and a sentence say of a kind of file.

    endings: of its names, in small letters, the dot with them.
    library: what reads it.
    extra: the optional extra of this project that installs `modules`, "" where all have it.
    """

    endings: tuple[str, ...]
    library: str
    pictures: str
    labels: str = ""
    extra: str = ""
    modules: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """Why it cannot be read here, "" where it can."""
        if all(map(is_installed, self.modules)):
            return ""
        return needs(self.extra)


@dataclass(frozen=True, kw_only=True)
class Format(Kind, Entry[Callable[[BinaryIO], Opened]]):
    """A kind of file that holds pictures.

    part: what one of several is called: page, frame, slice.
    several: whether a file may hold several. True: each is asked. A function looks at the head of
        an open file, in no time, and tells which are to be asked.
    marks: what lies at which place of a file that is known by it whatever it is called.
    harmless: its reader is pillow, which decodes in this process while there are few pictures.
        Any other reads in a process of its own, which may break.
    """

    part: str = "picture"
    several: bool | Callable[[BinaryIO], bool] = False
    marks: tuple[tuple[int, bytes], ...] = ()
    harmless: bool = False


@dataclass(frozen=True, kw_only=True)
class ArchiveFormat(Kind, Entry[Callable[..., "Members"]]):
    """A kind of file that holds files. `build` opens one: `archive.open_archive` says how.

    folder: whether one is a folder that somebody has packed, whose name says what is in it. A
        shard is a piece of a whole, and its name says nothing.
    """

    folder: bool = False


formats: Registry[Format] = Registry("picture format", Format)
archives: Registry[ArchiveFormat] = Registry("archive format", ArchiveFormat)

_endings: dict[str, Format | ArchiveFormat] = {}


def folders_of(name: str) -> list[str]:
    """The folders that a file lies in, from the outermost: packed ones by their plain names, and
    without archives that are none."""
    found = []
    for part in filter(None, name.split("/")[:-1]):
        kind = kind_of(part)
        if not isinstance(kind, ArchiveFormat):
            found.append(part)
        elif kind.folder:
            found.append(part[: -len(next(e for e in kind.endings if part.lower().endswith(e)))])
    return found


def kind_of(name: str) -> Format | ArchiveFormat | None:
    """What a file of this name is, None for nothing that is known here."""
    last = name[name.rfind("/") + 1 :].lower()
    if not _endings:
        _endings.update({e: each for each in (*formats, *archives) for e in each.endings})
    start = last.find(".", 1)  # a name that is nothing but an ending has none
    if last.count(".", 1) > 2:  # none has more than two dots
        start = last.rfind(".", 0, last.rfind("."))
    while start > 0:
        found = _endings.get(last[start:])
        if found is not None:
            return found
        start = last.find(".", start + 1)
    return None


def has_image_name(name: str) -> bool:
    """True where the ending is one of a format of pictures, or of an archive."""
    return kind_of(name) is not None


def endings(kinds: Iterable[Format | ArchiveFormat] = ()) -> tuple[str, ...]:
    """All endings that can be read here, the extras that are not installed left out."""
    every = kinds or (*formats, *archives)
    return tuple(sorted({e for each in every if not each.missing for e in each.endings}))


def readable() -> str:
    """What can be read here, for a sentence."""
    labels = [each.label for each in (*formats, *archives) if not each.missing]
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def is_installed(module: str) -> bool:
    """Whether a library is here, without loading it."""
    return importlib.util.find_spec(module) is not None


def needs(extra: str) -> str:
    """What is said in place of a picture that an extra would read."""
    return f'reading it needs pip install "{PROJECT}[{extra}]"'


def picture_name(file: str, contents: Contents, page: int) -> str:
    """What a picture in a file of several is called: `stack.tif#07`, `train/digits.npz#0003`."""
    own = contents.names[page] if contents.names else f"{page + 1:0{len(str(contents.count))}d}"
    folder, _, own = own.rpartition("/")
    inside, _, last = file.rpartition("/")
    return "/".join(filter(None, [inside, folder, f"{last}#{own}"]))
