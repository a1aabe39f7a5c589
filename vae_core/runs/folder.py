"""A folder that one process writes while others read: atomic files, appended lines, one owner."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from vae_core.errors import UserError
from vae_core.runs import lease
from vae_core.runs.atomic import TEMPORARY, is_leftover, is_private, open_to_append, write_temporary
from vae_core.runs.lease import Lease
from vae_core.runs.process import is_local
from vae_core.runs.reader import Reader
from vae_core.runs.schemas import Job
from vae_core.settings import Settings

SHIPPED_LIST = "shipped.txt"


def shipped_names(root: Path) -> list[str]:
    """The runs in a folder that come with the app, the most striking first; [] where none do."""
    with suppress(OSError, ValueError):
        return (root / SHIPPED_LIST).read_text("utf-8").split()
    return []


class Folder(Reader):
    """Reads tolerate a writer at work; writes are atomic. `kind` is what errors call it."""

    doing = "at work"
    ended_by = "stop"
    busy_here = "is already at work in another process."

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.lease: Lease | None = None
        """What this process holds of it; each write is then one of the holder's."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def file(self, name: str) -> Path:
        return self.path / name

    # --- reading -----------------------------------------------------------------------------

    def holder(self) -> Job | None:
        """The process at work here, on whichever host; None where none is."""
        job = lease.current_job(self)
        return job if job is not None and lease.is_alive(self, job) else None

    def is_alive(self) -> bool:
        """True while the process that works here lives, on whichever host."""
        return self.holder() is not None

    def remote_host(self) -> str:
        """The host of whoever works here, "" where that is no other host or container."""
        job = self.holder()
        return job.host if job is not None and not is_local(job) else ""

    def busy_message(self) -> str:
        """Who works here, as a sentence; "" where nobody does."""
        job = self.holder()
        return lease.busy_message(self, job) if job is not None else ""

    @property
    def shipped(self) -> bool:
        """True for what comes with the app, and so is for reading only.

        A list beside it names it. It travels with the folder into a clone, a wheel or an image; a
        copy under another name or in a store of one's own is like any other run.
        """
        return self.id in shipped_names(self.path.parent)

    # --- writing -----------------------------------------------------------------------------

    def write_json(self, name: str, value: Any, *, private: bool = False) -> None:
        """Write a settings object or plain data as JSON, atomically. Raises as `write_bytes`."""
        plain = isinstance(value, Settings)
        text = value.model_dump_json(indent=2) if plain else json.dumps(value, indent=2)
        self.write_bytes(name, text.encode() + b"\n", private=private)

    def write_bytes(
        self, name: str, data: bytes | Iterable[bytes], *, private: bool = False
    ) -> None:
        """Write a file so that a reader sees the old one or the new one, never a part.

        Args:
            data: all of it, or pieces of what is too large for the memory.
            private: nobody but its owner can read it, at any moment; once so, it stays so.

        Raises:
            UserError: when the disk is full or the folder cannot be written.
            LeaseLost: when this process held the folder, and does no more.
        """
        target = self.file(name)
        self._require_lease()
        try:
            if target.parent != self.path:
                target.parent.mkdir(exist_ok=True)  # this folder itself is never made anew
            temporary = write_temporary(target.parent, data, private=private or is_private(target))
            try:
                self._require_lease()  # once more: it may have taken long to write
                os.replace(temporary, target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self.unwritable(name, error) from error

    def rename(self, old: str, new: str) -> None:
        """Give a file of this folder another name, in place of what had it, atomically. Raises as
        `write_bytes`."""
        self._require_lease()
        try:
            os.replace(self.file(old), self.file(new))
        except OSError as error:
            raise self.unwritable(new, error) from error

    def sync(self) -> None:
        """Return once the names in this folder, too, would outlive a power cut."""
        if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders, and needs no such thing
            return
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system can
                raise self.unwritable(".", error) from error

    def clear_leftovers(self) -> None:
        """Remove what writers that were killed left half written; what is at work stays."""
        for path in self.path.rglob(f"{TEMPORARY}*"):
            if is_leftover(path):
                path.unlink(missing_ok=True)

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append one JSON record as a line, in a single write. Raises as `write_bytes`."""
        self.append_lines(name, _line(record))

    def append_lines(self, name: str, lines: bytes) -> None:
        """Append whole lines, in a single write.

        A line that an earlier writer left torn is ended first, so that it spoils no other. Raises
        as `write_bytes`.
        """
        self._require_lease()
        try:
            with open_to_append(self.file(name)) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    lines = lines if file.read(1) == b"\n" else b"\n" + lines
                if file.write(lines) < len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self.unwritable(name, error) from error

    def write_records(self, name: str, records: Iterable[dict[str, Any]]) -> None:
        """Write a .jsonl file anew, atomically. Raises as `write_bytes`."""
        self.write_bytes(name, b"".join(map(_line, records)))

    def delete(self) -> None:
        """Remove the folder for good. A UserError while a process works on it, or when it cannot
        be removed or comes with the app."""
        self.require_own()
        if self.is_alive():
            where = self.remote_host()
            said = f"{self.doing} on {where}" if where else f"still {self.doing}"
            raise UserError(f"{self.title} is {said}; {self.ended_by} it before you delete it.")
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise UserError(
                f"{self.title} cannot be deleted: {error.strerror or error}."
            ) from error

    def claim(self, pid: int) -> Lease:
        """Take the folder for process `pid`; see `lease.acquire`."""
        return lease.acquire(self, pid)

    def lock(self) -> AbstractContextManager[Lease]:
        """Hold the folder for this process while it works here; see `lease.locked`."""
        return lease.locked(self)

    def check_lease(self) -> None:
        """Go on only where this process still holds what it held; see `Lease.check`."""
        if self.lease is not None:
            self.lease.check()

    def require_own(self) -> None:
        """Go on only with a folder that is a person's own. A UserError when it comes with the
        app."""
        if self.shipped:
            raise UserError(
                f"{self.title} comes with the app and cannot be changed; a "
                "copy of its folder under another name can."
            )

    # --- inside ------------------------------------------------------------------------------

    def _require_lease(self) -> None:
        if self.lease is None:
            self.require_own()
        else:
            self.lease.require()

    def unwritable(self, name: str, error: OSError) -> UserError:
        """What to say of a file that could not be written."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Free some space" if full else "See to it that it can be"
        return UserError(
            f"{name} of {self.kind} {self.id!r} could not be written: {error.strerror or error}. "
            f"{remedy} or choose another store, then try again."
        )


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
