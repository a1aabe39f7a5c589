"""The one reader of run and sweep folders: nothing in them is believed before it is checked.

Whoever sends a folder may have put anything into it. So files are regular and lie inside
(`safe_open.py`), none is larger than its kind may be (`layout.py`), JSON becomes a model of
pydantic, tensors have a head that was checked (`tensors.py`), and records are read in pieces, so
that a long history takes no more memory than a short one.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from vae_core.errors import UserError
from vae_core.runs.layout import AT_ONCE, LOG, MB, QUICKLY, largest, require_within
from vae_core.runs.safe_open import NotRegular, kind_of, list_inside, open_inside, stat_inside
from vae_core.runs.tensors import Tensors

M = TypeVar("M", bound=BaseModel)

LONGEST_REASON, MOST_COMPLAINTS = 300, 1000

LONGEST_LINE = MB
"""A record of 60 000 dimensions; a longer line is none."""

STEP = b'"kind":"step"'
"""What a record of training steps holds, which most are."""

_CHUNK = 2**20


class Reader:
    """A folder that is read. `kind` is what errors call it.

    Names are those of files in it, such as "status.json" or "previews/originals.png".
    """

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def title(self) -> str:
        """What a sentence about it begins with: Run 'digits'."""
        return f"{self.kind.capitalize()} {self.id!r}"

    # --- whole files -------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """True where something has this name, whatever it is: reading it says what is wrong."""
        try:
            return stat_inside(self.path, name) is not None
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
            return list_inside(self.path, folder)
        except OSError:
            return []

    def require_file(self, name: str, wanted: str = "") -> None:
        """Look at a file without reading it; one that is not there is fine. A UserError when it is
        a link, a pipe, a device or a folder, or is too large."""
        try:
            found = stat_inside(self.path, name)
            if found is None:
                return
            if (kind := kind_of(found)) != wanted:
                raise NotRegular(kind or "a file", wanted.removeprefix("a ") or "file")
            if not wanted:
                require_within(name, found.st_size)
        except OSError as error:
            raise self.unreadable(name, error) from None

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """A file of this folder, open for reading, once it is sure that it is one. A
        FileNotFoundError when it is not there, an OSError when it is no regular file, is too large
        for its kind or cannot be opened."""
        with open_inside(self.path, name) as file:
            require_within(name, os.fstat(file.fileno()).st_size)
            yield file

    def read(self, name: str) -> bytes:
        """A whole file. Raises as `opened`."""
        most = largest(name) + 1
        with self.opened(name) as file:
            size = os.fstat(file.fileno()).st_size + 1  # room for no more, where memory is short
            data = file.read(min(size, most))
            if len(data) == size:  # it has grown
                data += file.read(most - size)
        require_within(name, len(data))
        return data

    @contextmanager
    def tensors(self, name: str) -> Iterator[Tensors]:
        """A safetensors file whose head has been checked. Raises as `opened`, and a ValueError
        when the head is damaged or promises what the file has not."""
        with self.opened(name) as file:
            yield Tensors(file)

    def parse(self, name: str, schema: type[M]) -> M:
        """A JSON file as a model; what is unknown in it is set aside, see `schemas.unknown_keys`.
        A UserError when it is missing or damaged."""
        try:
            found = schema.model_validate_json(self.text(name), extra="allow")
        except ValidationError as error:
            raise self.damaged(name, _complaint(error)) from None
        if found.model_extra and not found.model_fields_set & schema.model_fields.keys():
            raise self.damaged(name, "nothing in it is known")
        return found

    def parse_if_there(self, name: str, schema: type[M]) -> M:
        """As `parse`; what the schema holds by default where there is no such file."""
        return self.parse(name, schema) if self.has(name) else schema()

    def text(self, name: str) -> str:
        """A file as text. A UserError when it is missing or cannot be read."""
        try:
            return self.read(name).decode()
        except FileNotFoundError:
            raise UserError(f"{self.title} has no {name}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise self.unreadable(name, error) from None

    # --- records -----------------------------------------------------------------------------

    def records(
        self, name: str, offset: int = 0, *, holding: bytes = b""
    ) -> tuple[list[dict[str, Any]], int]:
        """Records of a .jsonl file written since byte `offset`, and the offset to go on from.

        A last line that is still being written is left for the next call, and so is what lies
        more than `AT_ONCE` bytes further. A UserError when the file is there but cannot be read.

        `holding`: only lines with these bytes are looked at, a tenth of the time for few of them.
        """
        found: list[dict[str, Any]] = []
        at = offset
        for lines, at in self._blocks(name, offset):
            found += _records_in(lines, holding)
            if at - offset >= AT_ONCE:
                break
        return found, at if self.has(name) else 0

    def each_record(self, name: str, *, holding: bytes = b"") -> Iterator[dict[str, Any]]:
        """Every record of a .jsonl file, one at a time; else as `records`."""
        for lines, _ in self._blocks(name, 0):
            yield from _records_in(lines, holding)

    def some_records(self, name: str, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
        """Records of a .jsonl file from byte `offset` on, and where each ends: all of them, or, of
        much more than `QUICKLY` bytes, one of so many steps, so that it takes no longer.

        Others, such as validations, are few, and all are read up to as many bytes. A UserError
        when the file is there but cannot be read.
        """
        every = 1 + (self.size(name) - offset) // QUICKLY
        others = 0
        for lines, end in self._blocks(name, offset):
            if every > 1:
                few = others < QUICKLY
                lines = [x for i, x in enumerate(lines) if not i % every or (few and STEP not in x)]
                others += sum(len(x) for x in lines if few and STEP not in x)
            for record in _records_in(lines):
                yield record, end

    def placed_records(self, name: str, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
        """Every record of a .jsonl file from byte `offset` on, and the byte at which it ends; else
        as `records`."""
        for lines, end in self._blocks(name, offset):
            at = end - sum(len(line) + 1 for line in lines)
            for line in lines:
                at += len(line) + 1
                yield from ((record, at) for record in _records_in([line]))

    def last_records(self, name: str, most: int = AT_ONCE) -> list[dict[str, Any]]:
        """The records in the last `most` bytes of a .jsonl file; else as `records`."""
        return self.records(name, max(0, self.size(name) - min(most, AT_ONCE)))[0]

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the worker's output, "" when there is none. A UserError when the file
        is there but cannot be read."""
        try:
            with self.opened(LOG) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
                data = file.read(20_000)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self.unreadable(LOG, error) from None
        return "\n".join(data.decode("utf-8", "replace").splitlines()[-lines:])

    # --- what is wrong -----------------------------------------------------------------------

    def damaged(self, name: str, reason: str) -> UserError:
        """What to say of a file that holds something else than it should."""
        reason = textwrap.shorten(reason, LONGEST_REASON, placeholder="…").rstrip(".")
        return UserError(f"{name} of {self.kind} {self.id!r} is damaged: {reason}.")

    def unreadable(self, name: str, error: Exception) -> UserError:
        """What to say of a file that cannot be read."""
        return UserError(f"{name} of {self.kind} {self.id!r} cannot be read: {error}.")

    # --- inside ------------------------------------------------------------------------------

    def _regular(self, name: str) -> os.stat_result | None:
        try:
            found = stat_inside(self.path, name)
        except OSError:
            return None
        return found if found is not None and not kind_of(found) else None

    def _blocks(self, name: str, offset: int) -> Iterator[tuple[list[bytes], int]]:
        """Whole lines from byte `offset` on, a few thousand at a time, and where the last of them
        ends. Too long ones are passed over, a last one that is still being written is left out."""
        try:
            with self.opened(name) as file:
                left = max(0, os.fstat(file.fileno()).st_size - offset)
                file.seek(offset)
                rest, too_long = b"", False
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    whole = rest + chunk
                    *lines, rest = whole.split(b"\n")
                    if lines:
                        offset += len(whole) - len(rest)
                        yield lines[too_long:], offset
                        too_long = False
                    if len(rest) > LONGEST_LINE:
                        offset, rest, too_long = offset + len(rest), b"", True
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.unreadable(name, error) from None


def _complaint(error: ValidationError) -> str:
    """The first of pydantic's complaints, with its place."""
    if error.error_count() > MOST_COMPLAINTS:  # each would become a dictionary
        return f"{error.error_count()} values in it are wrong"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place[:80]}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"


def _records_in(lines: list[bytes], holding: bytes = b"") -> Iterator[dict[str, Any]]:
    """The records of those lines that hold these bytes, and are records."""
    for line in lines:
        if holding not in line:
            continue
        try:
            record = json.loads(line, parse_int=_int)
        except (ValueError, RecursionError):  # torn by a power cut: the others are still good
            continue
        if isinstance(record, dict):
            yield record


def _int(digits: str) -> int | float:
    """Integers that every program can take; longer ones as what they are, too large."""
    return int(digits) if len(digits) < 19 else float(digits)
