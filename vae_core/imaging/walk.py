"""Going through a place: every file in it, of what kind it is, and why one is left out.

A place is a folder, an archive or a single file. A file of several pictures gives each of them; an
archive gives its files, and those of the archives in it.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from vae_core.errors import UserError
from vae_core.imaging.archive import Limits, Told, Unreadable, Unsafe
from vae_core.imaging.braces import expanded
from vae_core.imaging.counting import count_pictures
from vae_core.imaging.files import KEPT_OPEN, Files, Folder, Packed
from vae_core.imaging.kinds import ArchiveFormat, Format, NotAnImage, kind_of, readable
from vae_core.imaging.listing import Listing, Pages, listed
from vae_core.imaging.reading import (
    Place,
    Refused,
    Skip,
    Stamp,
    Watched,
    open_regular,
    read_whole,
    reason_of,
    stamp_of,
)
from vae_core.imaging.sniffed import HEAD, format_of, tells_nothing
from vae_core.progress import Progress, no_progress
from vae_core.units import gigabytes, grouped

LISTING = "Looking through the files"
MOST_FILES = 20_000_000
"""About 4 GB of names and times."""

DEEPEST = 2
"""Archives in one another that are opened."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_UNREAD_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".tbz2", ".txz")

_UNREAD_TABLES = (".xlsx", ".xls", ".ods", ".numbers")


def is_system_file(name: str) -> bool:
    """True for what systems leave behind (dot files, Thumbs.db, __MACOSX): never mentioned."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_FILES for part in name.split("/"))


@contextmanager
def open_pictures(
    path: Path,
    progress: Progress = no_progress,
    links: bool = True,
    pages: Pages = "all",
    limits: Limits | None = None,
) -> Iterator[Listing]:
    """The pictures in a folder, an archive or a file; `read` works inside the `with` block.

    A path with braces, such as `train-{000..099}.tar`, names several, see `braces.expanded`.

    Args:
        links: as `list_folder`.
        pages: whether each picture of a file of several counts, or the first alone.
        limits: for each archive.

    Raises:
        UserError: when there is no such place, it cannot be reached, is of no kind that can be
            read, or is an archive that is damaged or unsafe.
    """
    progress(LISTING, None)
    several = [] if os.path.lexists(path) else expanded(str(path))
    if several == [str(path)]:
        several = []
    kind = None if several else _kind_of_place(path)
    if several:
        path = Path(os.path.commonpath([os.path.dirname(each) for each in several]))
    walk = _Walk(path, progress, links, MOST_FILES, limits or Limits())
    try:
        if several:
            walk.several(several)
        elif kind is None:
            walk.folder()
        elif isinstance(kind, ArchiveFormat):
            walk.root_archive(kind)
        else:
            walk.single(kind)
        yield walk.listing(pages)
    finally:
        walk.files.close()


def list_folder(
    path: Path,
    progress: Progress = no_progress,
    links: bool = True,
    most: int = MOST_FILES,
    pages: Pages = "all",
) -> Listing:
    """The pictures in `path` and in the folders and archives inside it.

    Links to files are followed, those to folders are not: they could lead in circles.

    Args:
        links: False leaves links to files out as well, for folders that come from strangers.
        most: how many files of any kind may lie there.

    Raises:
        UserError: when `path`, a folder or a file in it cannot be reached, or there are too many.
    """
    walk = _Walk(path, progress, links, most, Limits())
    walk.folder()
    return walk.listing(pages)


def _kind_of_place(path: Path) -> Format | ArchiveFormat | None:
    """The kind of a file, None for a folder.

    Raises:
        UserError: when there is neither, or nothing here reads it.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"There is no folder or file of images at {path}; check the path."
        ) from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be reached: {reason_of(error)}. Check its permissions."
        ) from None
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is neither a folder nor a file; name one of these.")
    kind = kind_of(path.name) or _kind_on_disk(path)
    if kind is None:
        raise UserError(f"{path} is of no kind that can be read; what can be is {readable()}.")
    if kind.missing:
        raise UserError(f"{path} is {kind.label}: {kind.missing}.")
    return kind


class _Walk:
    """Goes through a place and gathers what lies there."""

    def __init__(
        self, root: Path, progress: Progress, links: bool, most: int, limits: Limits
    ) -> None:
        self._root, self._progress, self._links = root, progress, links
        self._most, self._limits = most, limits
        self.files = Files()
        self._skipped: list[Skip] = []
        self._told: dict[tuple[int, int], Told] = {}
        self._others: dict[str, tuple[int, int]] = {}  # what is skipped of archives, by name
        self._spent = [0, 0]  # entries and bytes of the archive that is looked through
        self._archives = 0

    def folder(self) -> None:
        """Take what lies in the root, a folder."""
        self.files.holders.append(Folder(self._root))
        self._folders([""])

    def several(self, paths: Sequence[str]) -> None:
        """Take some files and folders below the root.

        Raises:
            UserError: when one of them is not there.
        """
        self.files.holders.append(Folder(self._root))
        wanted = {Path(path).relative_to(self._root).as_posix(): None for path in paths}
        for inside in {name.rpartition("/")[0]: None for name in wanted}:
            before = f"{inside}/" if inside else ""
            for entry in _entries(self._root, before):
                name = before + entry.name
                if name not in wanted:
                    continue
                del wanted[name]
                self._count()
                try:
                    if entry.is_dir(follow_symlinks=False):
                        self._folders([f"{name}/"])
                    else:
                        self._take(entry, name)
                except OSError as error:
                    raise _unreachable(Path(entry.path), error) from None
        if wanted:
            more = f", nor are {len(wanted) - 1} more" if len(wanted) > 1 else ""
            raise UserError(
                f"{next(iter(wanted))} is not in {self._root}{more} of the {len(paths)} that the "
                "name with braces stands for; check it."
            )

    def _folders(self, waiting: list[str]) -> None:
        while waiting:
            inside = waiting.pop()
            for entry in _entries(self._root, inside):
                if is_system_file(entry.name):
                    continue
                self._count()
                name = inside + entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name + "/")
                    else:
                        self._take(entry, name)
                except OSError as error:
                    raise _unreachable(Path(entry.path), error) from None

    def single(self, kind: Format) -> None:
        """Take the root, a file of pictures."""
        self.files.holders.append(Folder(self._root.parent))
        try:
            self.files.add(self._root.name, kind, stamp_of(self._root.stat()), 0, 0)
        except OSError as error:
            raise _unreachable(self._root, error) from None

    def root_archive(self, kind: ArchiveFormat) -> None:
        """Take what lies in the root, an archive.

        Raises:
            UserError: when it is refused.
        """
        path = self._root
        try:
            self._archive("", kind, self._on_disk(path, stamp_of(path.stat())), 0, 1)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {reason_of(error)}.") from None
        except Refused as error:
            raise UserError(f"{path} is {error}; name a folder or an archive.") from None
        except Unreadable as error:
            raise UserError(
                f"{path} is {error}. Pack your images again as .zip, or name a folder."
            ) from None
        except Unsafe as error:
            raise UserError(f"{path.name} was refused: {error}. {error.cure}") from None

    def listing(self, pages: Pages) -> Listing:
        """All pictures of the files, in the order of their names."""
        self.files.sort()
        counted = count_pictures(self.files, self._progress)
        found = listed(self._root, self.files, counted, self._skipped, self._told, pages)
        return replace(found, read_other=self._read_other)

    def _read_other(self, name: str) -> bytes:
        if name in self._others:
            (number, key), stamp = self._others[name], (0, 0)
            return self.files.holders[number].read(name, stamp, key)
        i = bisect_left(self.files.names, name)  # one that could have held pictures and does not
        if i < len(self.files) and self.files.names[i] == name:
            number, key = self.files.holding(i)
            return self.files.holders[number].read(name, self.files.stamp(i), key)
        return read_whole(self._root / name)

    def _count(self) -> None:
        count = len(self.files) + len(self._skipped)
        if count % 1000 == 0:
            self._progress(f"{LISTING}: {grouped(len(self.files))} images so far", None)
        if count >= self._most:
            raise UserError(
                f"There are more than {grouped(self._most)} files in {self._root}. Name the folder "
                "in it that holds the images."
            )

    def _take(self, entry: os.DirEntry[str], name: str) -> None:
        """A file in a folder. One look at each.

        Raises:
            OSError: when it cannot be looked at. A link to nowhere can: it leads nowhere.
        """
        kind = kind_of(entry.name)
        is_link = entry.is_symlink()
        if is_link and not self._links:
            self._skip(name, "a link")
            return
        if kind is None and not is_link and not tells_nothing(name):
            self._skip(name, _why_not(name))
            return
        try:
            found = entry.stat()
        except OSError as error:
            if is_link and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                self._skip(name, "a link to nowhere")
                return
            raise
        if stat.S_ISDIR(found.st_mode):
            self._skip(name, "a link to a folder")
            return
        if kind is None and stat.S_ISREG(found.st_mode) and tells_nothing(name):
            kind = _kind_on_disk(entry.path)
        if kind is None:
            self._skip(name, _why_not(name))
        elif not stat.S_ISREG(found.st_mode):
            self._skip(name, "no ordinary file")
        elif kind.missing:
            self._skip(name, kind.missing)
        elif isinstance(kind, ArchiveFormat):
            self._archive_inside(name, kind, self._on_disk(entry.path, stamp_of(found)), 0, 1)
        else:
            self.files.add(name, kind, stamp_of(found), 0, 0)

    def _on_disk(self, path: str | Path, stamp: Stamp) -> Callable[[], BinaryIO]:
        self._archives += 1
        kept = self._archives <= KEPT_OPEN

        def opened() -> BinaryIO:
            watched = Watched(Place(str(path), stamp), kept)
            return cast(BinaryIO, io.BufferedReader(watched, 2**16))

        return opened

    def _archive_inside(
        self, name: str, kind: ArchiveFormat, file: Callable[[], BinaryIO], size: int, depth: int
    ) -> None:
        """An archive among other files: where it is refused the others are there all the same."""
        try:
            self._archive(name + "/", kind, file, size, depth)
        except (Unsafe, UserError) as error:
            self._skip(name, f"refused: {error}".rstrip("."))
        except (Unreadable, Refused, NotAnImage) as error:
            self._skip(name, str(error))

    def _archive(
        self, before: str, kind: ArchiveFormat, file: Callable[[], BinaryIO], size: int, depth: int
    ) -> None:
        if depth == 1:
            self._spent = [0, 0]
        entries, total = self._spent
        if entries >= self._limits.entries or total >= self._limits.total_bytes:
            raise Unsafe(
                f"with it there are more than {grouped(self._limits.entries)} files in one "
                f"archive, or more than {gigabytes(self._limits.total_bytes)}"
            )
        limits = replace(
            self._limits,
            entries=self._limits.entries - entries,
            total_bytes=self._limits.total_bytes - total,
        )
        holder = Packed(kind, file, size, limits, self.files.recent)
        number, members = len(self.files.holders), holder.members
        self.files.holders.append(holder)
        self._spent = [
            entries + len(members.names),
            total + sum(stamp[0] for stamp in members.stamps),
        ]
        for skip in members.skipped:
            self._skip(before + skip.name, skip.reason)
        for i, (inside, stamp) in enumerate(zip(members.names, members.stamps, strict=True)):
            if is_system_file(inside):
                continue
            self._count()
            name = before + inside
            found = kind_of(inside) or _kind_within(holder, inside, stamp, i)
            if found is None or found.missing:
                self._skip(name, _why_not(name) if found is None else found.missing)
                self._others[name] = number, i
            elif isinstance(found, Format):
                self.files.add(name, found, stamp, number, i)
                if i in members.told:
                    self._told[number, i] = members.told[i]
            elif depth == DEEPEST:
                self._skip(name, "an archive in an archive in an archive; unpack the outermost")
            else:
                self._archive_inside(
                    name, found, self._in_memory(holder, inside, stamp, i), stamp[0] or 1, depth + 1
                )
        holder.forget()

    def _in_memory(
        self, holder: Packed, name: str, stamp: Stamp, key: int
    ) -> Callable[[], BinaryIO]:
        return lambda: io.BytesIO(holder.read(name, stamp, key))

    def _skip(self, name: str, reason: str) -> None:
        self._skipped.append(Skip(name, reason))


def _entries(path: Path, inside: str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder. Not `os.walk`: it takes a folder that breaks off for a short one."""
    folder = os.path.join(path, inside) if inside else str(path)
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise _unreachable(Path(folder), error) from None


def _kind_on_disk(path: str | Path) -> Format | None:
    """The format of a file by what it begins with; None for another one, or one that cannot be
    read."""
    try:
        with open_regular(path) as file:
            return format_of(file.read(HEAD))
    except (OSError, Refused):
        return None


def _kind_within(holder: Packed, name: str, stamp: Stamp, key: int) -> Format | None:
    """The same of a file in an archive whose name tells nothing."""
    if not stamp[0] or not tells_nothing(name):
        return None
    try:
        with holder.open(name, stamp, key) as file:
            return format_of(file.read(HEAD))
    except Exception:  # of a damaged archive, which is told where the file is one that counts
        return None


def _why_not(name: str) -> str:
    if name.lower().endswith(_UNREAD_ARCHIVES):
        return "an archive of a kind that is not read; pack it as .zip or .tar.gz"
    if name.lower().endswith(_UNREAD_TABLES):
        return "a table of a kind that is not read; save it as .csv"
    return "no image"


def _unreachable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be reached: {reason_of(error)}. Check its permissions and that its drive "
        "is there, then try again."
    )
