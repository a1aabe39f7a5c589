"""The one reader of run and sweep folders: nothing in them is believed before it is checked.

Whoever sends a folder may have put anything into it. So files are regular and lie inside
(`regular.py`), none is larger than its kind may be, JSON becomes a model of pydantic, and records
are read in pieces, so that a long history takes no more memory than a short one.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from vae_core.errors import UserError
from vae_core.nested import require_shallow
from vae_core.runs.regular import NotRegular, kind_of, look_inside, names_inside, open_inside
from vae_core.runs.tensors import Tensors

M = TypeVar("M", bound=BaseModel)

KB, MB, GB = 10**3, 10**6, 10**9

LARGEST: tuple[tuple[str, int], ...] = (
    ("config.json", MB),
    ("status.json", MB),
    ("environment.json", MB),
    ("job.json", 64 * KB),
    ("data.json", 4 * MB),  # names of labels
    ("summary.json", 4 * MB),  # a KL for each of some ten thousand dimensions
    ("scores.json", MB),
    ("saved_directions.json", 16 * MB),
    ("sweep.json", 4 * MB),
    ("state.json", 16 * MB),  # a thousand entries
    ("*.json", MB),
    ("study.db*", 64 * GB),  # a database, which reads of itself what it needs
    ("history.jsonl", GB),  # four million records: weeks of training
    ("*.jsonl", 64 * MB),
    ("thumbnails.png", 64 * MB),
    ("*.png", 16 * MB),
    ("model.safetensors", 16 * GB),
    ("training_state*.pt", 128 * GB),  # and no more than a multiple of the weights
    ("parts.safetensors", 256 * MB),  # 25 million images
    ("encodings.safetensors", GB),
    ("encodings-*.safetensors", 4 * GB),
    ("*.safetensors", 256 * MB),
    ("log.txt", 1000 * GB),  # its end alone is read
)
"""Bytes of a file of each kind, the first pattern that fits; of others 1 MB."""

AT_ONCE = 16 * MB
"""Of a .jsonl file, read by one call that returns all it has read."""

LONGEST_LINE = MB
"""A record of 60 000 dimensions; a longer line is none."""

LONGEST_REASON, MOST_COMPLAINTS = 300, 1000

STEP = b'"kind":"step"'
"""What a record of training steps holds, which most are."""

_CHUNK = 2**20


def largest(name: str) -> int:
    """Bytes that a file of this name may have."""
    last = name.rpartition("/")[2]
    return next((most for pattern, most in LARGEST if fnmatchcase(last, pattern)), MB)


class Reading:
    """A folder that is read. `kind` is what errors call it.

    Names are those of files in it, such as "status.json" or "previews/originals.png".
    """

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    # --- whole files -------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """True where something has this name, whatever it is: reading it says what is wrong."""
        try:
            return look_inside(self.path, name) is not None
        except OSError:
            return False

    def version(self, name: str) -> int | None:
        """Changes whenever the file is written; None where there is no such file."""
        found = self._regular(name)
        return None if found is None else found.st_mtime_ns

    def size(self, name: str) -> int:
        """Bytes of the file, 0 where there is none."""
        found = self._regular(name)
        return 0 if found is None else found.st_size

    def names(self, folder: str) -> list[str]:
        """The names in a folder of this one, sorted; [] where there is no such folder."""
        try:
            return names_inside(self.path, folder)
        except OSError:
            return []

    def check(self, name: str, wanted: str = "") -> None:
        """Look at a file without reading it; one that is not there is fine.

        Raises:
            UserError: when it is a link, a pipe, a device or a folder, or is too large.
        """
        try:
            found = look_inside(self.path, name)
            if found is not None and (kind := kind_of(found)) != wanted:
                raise NotRegular(kind or "a file", wanted.removeprefix("a ") or "file")
            if found is not None and not wanted:
                _within(name, found.st_size)
        except OSError as error:
            raise self._unread(name, error) from None

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """A file of this folder, open for reading, once it is sure that it is one.

        Raises:
            FileNotFoundError: when it is not there.
            OSError: when it is no regular file, is too large for its kind or cannot be opened.
        """
        with open_inside(self.path, name) as file:
            _within(name, os.fstat(file.fileno()).st_size)
            yield file

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            FileNotFoundError, OSError: as `opened`.
        """
        with self.opened(name) as file:
            data = file.read(largest(name) + 1)
        _within(name, len(data))  # it may have grown
        return data

    @contextmanager
    def tensors(self, name: str) -> Iterator[Tensors]:
        """A safetensors file whose head has been checked.

        Raises:
            FileNotFoundError, OSError: as `opened`.
            ValueError: when the head is damaged or promises what the file has not.
        """
        with self.opened(name) as file:
            yield Tensors(file)

    def json(self, name: str, default: Any = None) -> Any:
        """A JSON file of this folder, as plain values, not nested deep.

        Raises:
            UserError: when it is missing and there is no default, or when it is damaged.
        """
        if default is not None and not self.has(name):
            return default
        try:
            found = json.loads(self._text(name))
            require_shallow(found)
        except (ValueError, RecursionError):
            raise self._damaged(name, "it is no valid JSON") from None
        return found

    # --- records -----------------------------------------------------------------------------

    def records(
        self, name: str, offset: int = 0, *, holding: bytes = b""
    ) -> tuple[list[dict[str, Any]], int]:
        """Records of a .jsonl file written since byte `offset`, and the offset to go on from.

        A last line that is still being written is left for the next call, and so is what lies
        more than `AT_ONCE` bytes further.

        Args:
            holding: only lines with these bytes are looked at, a tenth of the time where they are
                few.

        Raises:
            UserError: when the file is there but cannot be read.
        """
        found, at = [], offset
        for line, end in self._lines(name, offset):
            at = end
            if holding in line and (record := _record(line)) is not None:
                found.append(record)
            if end - offset >= AT_ONCE:
                break
        return found, at if self.has(name) else 0

    def each_record(
        self, name: str, offset: int = 0, *, holding: bytes = b""
    ) -> Iterator[dict[str, Any]]:
        """Every record of a .jsonl file from byte `offset` on, one at a time.

        Args, Raises: as `records`.
        """
        for line, _ in self._lines(name, offset):
            if holding in line and (record := _record(line)) is not None:
                yield record

    def some_records(self, name: str, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
        """Records of a .jsonl file from byte `offset` on, and where each ends: all of them, or, of
        much more than `AT_ONCE` bytes, one of so many steps, so that it takes no longer.

        Others, such as validations, are few, and all are read up to as many bytes.

        Raises:
            UserError: when the file is there but cannot be read.
        """
        every = 1 + (self.size(name) - offset) // AT_ONCE
        others = 0
        for n, (line, end) in enumerate(self._lines(name, offset)):
            if every > 1 and n % every:
                others += 0 if STEP in line else len(line)
                if STEP in line or others > AT_ONCE:
                    continue
            if (record := _record(line)) is not None:
                yield record, end

    def last_records(self, name: str, most: int = AT_ONCE) -> list[dict[str, Any]]:
        """The records in the last `most` bytes of a .jsonl file.

        Raises:
            UserError: when the file is there but cannot be read.
        """
        return self.records(name, max(0, self.size(name) - min(most, AT_ONCE)))[0]

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the worker's output, "" when there is none.

        Raises:
            UserError: when the file is there but cannot be read.
        """
        try:
            with self.opened("log.txt") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
                data = file.read(20_000)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._unread("log.txt", error) from None
        return "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])

    # --- inside ------------------------------------------------------------------------------

    def _regular(self, name: str) -> os.stat_result | None:
        try:
            found = look_inside(self.path, name)
        except OSError:
            return None
        return found if found is not None and not kind_of(found) else None

    def _lines(self, name: str, offset: int) -> Iterator[tuple[bytes, int]]:
        """Whole lines from byte `offset` on, and where each ends; too long ones are passed over."""
        try:
            with self.opened(name) as file:
                left = max(0, os.fstat(file.fileno()).st_size - offset)
                file.seek(offset)
                rest, too_long = b"", False
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        offset += len(line) + 1
                        if not too_long:
                            yield line, offset
                        too_long = False
                    if len(rest) > LONGEST_LINE:
                        offset, rest, too_long = offset + len(rest), b"", True
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unread(name, error) from None

    def _text(self, name: str) -> str:
        try:
            return self.read(name).decode()
        except FileNotFoundError:
            raise UserError(f"{self.kind.capitalize()} {self.id!r} has no {name}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise self._unread(name, error) from None

    def _parse(self, name: str, kind: type[M]) -> M:
        try:
            return kind.model_validate_json(self._text(name))
        except ValidationError as error:
            raise self._damaged(name, _complaint(error)) from None

    def _damaged(self, name: str, reason: str) -> UserError:
        reason = textwrap.shorten(reason, LONGEST_REASON, placeholder="…").rstrip(".")
        return UserError(f"{name} of {self.kind} {self.id!r} is damaged: {reason}.")

    def _unread(self, name: str, error: Exception) -> UserError:
        return UserError(f"{name} of {self.kind} {self.id!r} cannot be read: {error}.")


def _within(name: str, size: int) -> None:
    if size > (most := largest(name)):
        raise OSError(f"it has {_told(size)}, and at most {_told(most)} are read")


def _told(size: int) -> str:
    unit, name = next(pair for pair in ((GB, "GB"), (MB, "MB"), (KB, "kB")) if size >= pair[0])
    return f"{size / unit:.3g} {name}"


def _complaint(error: ValidationError) -> str:
    """The first of pydantic's complaints, with its place."""
    if error.error_count() > MOST_COMPLAINTS:  # each would become a dictionary
        return f"{error.error_count()} values in it are wrong"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place[:80]}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line, parse_int=_int)
    except (ValueError, RecursionError):  # torn by a power cut: the others are still good
        return None
    return record if isinstance(record, dict) else None


def _int(digits: str) -> int | float:
    """Integers that every program can take; longer ones as what they are, too large."""
    return int(digits) if len(digits) < 19 else float(digits)
