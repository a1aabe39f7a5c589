"""A person's own images on their way to another machine: an archive, named after its content.

It is a tar file that is made while it is sent, in pieces, so that neither memory nor a second copy
on the disk is needed here. Two folders with the same files make the same archive, and a machine
that has it already is sent nothing. There it lies in the cache, among what can be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vae_core.config import DataConfig
from vae_core.data.cache import CacheLock, acquire, free_space, mark_used
from vae_core.data.npy import SUMMARY
from vae_core.data.source import datasets
from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.imaging.walk import is_system_file
from vae_core.locations import cache_folder, data_folder, is_address, uploads_folder
from vae_core.progress import Progress
from vae_core.units import gigabytes

PIECE = 16 * 2**20
"""Bytes that are sent at a time."""

MOST_FILES = 10_000_000
ARCHIVE, IMAGES = ".archive", "images"


def place_of(config: DataConfig) -> Path | None:
    """The folder or file whose content has to be sent: the person's own images, or where they say
    that a known data set lies. None for a set that each machine makes, finds, downloads or reads
    from its address by itself.

    Raises:
        UserError: when there is nothing at that place.
    """
    if config.data_dir is None or is_address(config.data_dir):
        return None
    if datasets[config.dataset].origin == "built in":
        return None
    path = data_folder(config.data_dir)
    if not path.exists():
        raise UserError(f"There are no images at {path} that could be sent to the cluster.")
    return path


class Collection:
    """A folder or a file, as it can be sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = list(_files(path))
        self.bytes = sum(size for _, _, size in self._files)

    def digest(self, progress: Progress) -> str:
        """SHA-256 of the archive, for which all files are read once."""
        found = hashlib.sha256()
        for piece in self._pieces(f"Looking at the images, {gigabytes(self.bytes)}", progress):
            found.update(piece)
        return found.hexdigest()

    def pieces(self, progress: Progress) -> Iterator[bytes]:
        """The archive, at most `PIECE` bytes at a time. A UserError when a file cannot be read."""
        return self._pieces(f"Sending the images, {gigabytes(self.bytes)}", progress)

    def _pieces(self, message: str, progress: Progress) -> Iterator[bytes]:
        waiting, read = bytearray(), 0
        for data in self._archive():
            waiting += data
            read += len(data)
            while len(waiting) >= PIECE:
                progress(message, min(1.0, read / max(1, self.bytes)))
                yield bytes(waiting[:PIECE])
                del waiting[:PIECE]
        yield bytes(waiting)

    def _archive(self) -> Iterator[bytes]:
        """The tar file: heads, of which whose file it is and when it was made are no part, content,
        and zeros up to whole blocks."""
        for name, path, size in self._files:
            head = tarfile.TarInfo(name)
            head.size = size
            yield head.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            try:
                with path.open("rb") as file:
                    left = size
                    while left:
                        data = file.read(min(left, PIECE))
                        if not data:
                            raise OSError("it became shorter")
                        left -= len(data)
                        yield data
            except OSError as error:
                reason = error.strerror or error
                raise UserError(f"{path} cannot be sent to the cluster: {reason}.") from None
            yield b"\0" * (-size % tarfile.BLOCKSIZE)
        yield b"\0" * 2 * tarfile.BLOCKSIZE


class Shelf:
    """Where one collection lies on a machine of the cluster, for a run that needs it."""

    def __init__(self, digest: str) -> None:
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise UserError("What the images are is told by 64 digits.")
        self._digest = digest
        self._folder = cache_folder() / f"sent-{digest}"
        self._lock: CacheLock | None = None
        self._hash = hashlib.sha256()
        self._came = 0

    def state(self) -> str:
        """`there`; `send`, to whoever is the first to ask; `wait` while another one is sent it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._is_whole() and (lock := acquire(self._folder, exclusive=False)):
            if self._is_whole():
                self._lock = lock
                mark_used(self._folder)
                return "there"
            lock.release()
        self._lock = acquire(self._folder, exclusive=True)
        if self._lock is None:
            return "wait"
        for left in (self._folder / IMAGES, self._folder / ARCHIVE):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        return "send"

    def take(self, offset: int, piece: bytes) -> None:
        """A piece of the archive; one that has come already is passed over."""
        if offset != self._came:
            return
        free_space(len(piece), self._folder)
        with (self._folder / ARCHIVE).open("ab") as file:
            file.write(piece)
        self._hash.update(piece)
        self._came += len(piece)

    def finish(self) -> None:
        """Unpack it. A UserError when something else has come, or its names lead elsewhere."""
        if self._hash.hexdigest() != self._digest:
            raise UserError("The images changed while they were sent to the cluster; try again.")
        archive = self._folder / ARCHIVE
        names = set()
        with tarfile.open(archive, "r:") as packed:
            for member in packed:
                if not member.isreg() or not _is_inside(member.name):
                    raise UserError(f"{member.name[:200]!r} is no file of a collection.")
                path = self._folder / IMAGES / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                source = packed.extractfile(member)
                assert source is not None, "it is a regular file"
                with path.open("xb") as file:
                    shutil.copyfileobj(source, file, PIECE)
                names.add(member.name.partition("/")[0])
        archive.unlink()
        with replacing(self._folder / SUMMARY) as out:
            out.write(json.dumps({"name": names.pop() if names else ""}).encode())
        if self._lock is not None:
            self._lock.share()

    @property
    def path(self) -> Path:
        """What the configuration of the run is to name."""
        name = json.loads((self._folder / SUMMARY).read_text())["name"]
        return self._folder / IMAGES / name

    def release(self) -> None:
        """Let it be removed when room is needed."""
        if self._lock is not None:
            self._lock.release()

    def _is_whole(self) -> bool:
        return (self._folder / SUMMARY).is_file()


def _files(root: Path) -> Iterator[tuple[str, Path, int]]:
    """(name in the archive, path, bytes) of the regular files below a place, in one order. Links
    to folders are not followed, and in what was uploaded none are: as where images are read."""
    if root.is_file():
        yield root.name, root, root.stat().st_size
        return
    links = not root.is_relative_to(uploads_folder())
    count = 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        folders[:] = [each for each in folders if not is_system_file(each)]
        for name in sorted(names):
            path = Path(folder, name)
            if is_system_file(name) or not path.is_file() or (path.is_symlink() and not links):
                continue
            count += 1
            if count > MOST_FILES:
                raise UserError(f"{root} holds over {MOST_FILES} files; pack them as archives.")
            with suppress(OSError):  # removed just now
                yield f"{root.name}/{path.relative_to(root).as_posix()}", path, path.stat().st_size


def _is_inside(name: str) -> bool:
    return all(part not in ("", ".", "..") and "\0" not in part for part in name.split("/"))
