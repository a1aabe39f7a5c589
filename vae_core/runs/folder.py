"""A folder that one process writes while others read: atomic files, appended lines, one owner."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from vae_core.errors import UserError
from vae_core.runs.reading import Reading
from vae_core.runs.records import Job, process_is
from vae_core.settings import Settings

WRITING = ".writing-"
"""What the names of files begin with that are not whole yet; then comes the writer's process id."""

LONGEST_WRITE_S = 600.0


class Folder(Reading):
    """Reads tolerate a writer at work; writes are atomic. `kind` is what errors call it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def file(self, name: str) -> Path:
        return self.path / name

    # --- reading -----------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """True while the process that works here lives."""
        try:
            job = self._parse("job.json", Job)
        except UserError:
            return False
        return process_is(job)

    # --- writing -----------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        """Write a settings object or plain data as JSON, atomically.

        Raises:
            UserError: as `write_bytes`.
        """
        plain = isinstance(value, Settings)
        text = value.model_dump_json(indent=2) if plain else json.dumps(value, indent=2)
        self.write_bytes(name, text.encode() + b"\n")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file so that a reader sees the old one or the new one, never a part.

        Raises:
            UserError: when the disk is full or the folder cannot be written.
        """
        target = self.file(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f"{WRITING}{os.getpid()}-"
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=prefix)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unwritten(name, error) from error

    def rename(self, old: str, new: str) -> None:
        """Give a file of this folder another name, in place of what had it, atomically.

        Raises:
            UserError: when the folder cannot be written.
        """
        try:
            os.replace(self.file(old), self.file(new))
        except OSError as error:
            raise self._unwritten(new, error) from error

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
                raise self._unwritten(".", error) from error

    def clear_leftovers(self) -> None:
        """Remove what writers that were killed left half written; what is at work stays."""
        for path in self.path.rglob(f"{WRITING}*"):
            if _is_leftover(path):
                path.unlink(missing_ok=True)

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append one JSON record as a line, in a single write.

        A line that an earlier writer left torn is ended first, so that it spoils no other.

        Raises:
            UserError: when the disk is full or the folder cannot be written.
        """
        line = _line(record)
        try:
            with self.file(name).open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._unwritten(name, error) from error

    def write_records(self, name: str, records: Iterable[dict[str, Any]]) -> None:
        """Write a .jsonl file anew, atomically.

        Raises:
            UserError: as `write_bytes`.
        """
        self.write_bytes(name, b"".join(map(_line, records)))

    def claim(self, pid: int) -> None:
        """Record that process `pid` works here."""
        self.write_json("job.json", Job(pid=pid, create_time=psutil.Process(pid).create_time()))

    @contextmanager
    def held(self, lock: str, sentence: str) -> Iterator[None]:
        """Hold the folder for this process; the system lets go even when the process is killed.

        Args:
            lock: name of the lock file. sentence: what to say while another process holds it.

        Raises:
            UserError: with `sentence`.
        """
        try:
            handle = FileLock(self.file(lock), timeout=0).acquire()
        except Timeout:
            raise UserError(sentence) from None
        with handle:
            yield

    # --- inside ------------------------------------------------------------------------------

    def _unwritten(self, name: str, error: OSError) -> UserError:
        return UserError(
            f"{name} of {self.kind} {self.id!r} could not be written: {error.strerror or error}. "
            "Free some space or choose another store, then try again."
        )


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _is_leftover(path: Path) -> bool:
    """True where nobody writes this any more: its writer is gone, or has not moved for long."""
    writer, dash, _ = path.name.removeprefix(WRITING).partition("-")
    try:
        untouched = time.time() - path.stat().st_mtime
    except OSError:
        return False
    at_work = dash and writer.isdecimal() and psutil.pid_exists(int(writer[:9]))
    return not at_work or int(writer) == os.getpid() or untouched > LONGEST_WRITE_S
