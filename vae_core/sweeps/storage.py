"""Where a study is kept: its address, how it is opened, and its errors in a sentence.

A journal, one file that machines may share, or a database. Imports SQLAlchemy and Optuna, so it is
imported where a study is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from vae_core.errors import UserError
from vae_core.extras import extra

SQLITE_TIMEOUT_S = 30
"""How long SQLite waits for another writer."""

CONNECT_TIMEOUT_S = 10
"""How long a server may take to answer at all."""

ENGINES: dict[str, dict[str, Any]] = {
    "sqlite": {"connect_args": {"timeout": SQLITE_TIMEOUT_S}},
    "postgresql": {
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT_S},
    },
}
"""What SQLAlchemy is told of a database. A pinged connection outlives a restart of its server."""

JOURNAL = "journal"

LONGEST_LINE = 2**20
"""Bytes of a record of a journal; the longest has the specification."""


class StorageError(UserError):
    """The study cannot be reached; what was not told can be told later."""


class JournalFile(JournalFileBackend):
    """Optuna's file, whose damage is told as that of any other file."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as error:
            raise OSError(f"the journal is damaged: {error}") from error


def open_storage(url: str) -> BaseStorage:
    """Optuna's storage at an address; what SQLAlchemy raises is not translated. A StorageError when
    it is no address, a UserError when a driver is an extra that is not installed."""
    try:
        address = make_url(url)
    except ValueError:  # a port that is no number
        raise _no_url(url) from None
    return _journal(address) if address.get_backend_name() == JOURNAL else _database(address)


def _journal(address: URL) -> BaseStorage:
    path = address.database or ""
    if not Path(path).name:
        raise _no_url(str(address))
    # A lock that is a file of its own: symbolic links are not to be had everywhere.
    lock = JournalFileOpenLock(path)
    _cut_unfinished(path, lock)
    return JournalStorage(JournalFile(path, lock))


def _database(address: URL) -> BaseStorage:
    # One driver, whichever of them is the default of the installed SQLAlchemy.
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername == "postgresql+psycopg":
        extra("psycopg", "postgresql", "A study in PostgreSQL")
    options = ENGINES.get(address.get_backend_name(), {"pool_pre_ping": True})
    return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=options)


def _cut_unfinished(path: str, lock: JournalFileOpenLock) -> None:
    """Cut off what somebody who died, or a full disk, has left of a last line: Optuna would append
    to it, and nobody could read that."""
    try:
        with open(path, "r+b") as file:
            lock.acquire()
            try:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_LINE))
                start = file.tell()
                tail = file.read()
                if not tail.endswith(b"\n"):
                    file.truncate(start + tail.rfind(b"\n") + 1)
            finally:
                lock.release()
    except FileNotFoundError:
        pass


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what databases raise into one sentence: a StorageError that names the storage, without
    its password."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError):
        raise _no_url(url) from None  # its words may hold what was written
    except ImportError as error:
        missing = error.__cause__ or error  # Optuna's own words name no module
        raise StorageError(
            f"Python has no driver for {redacted(url)}: {missing}. Install the package that has "
            "it, or name another driver in the URL."
        ) from error
    except (SQLAlchemyError, StorageInternalError, OSError) as error:
        # Optuna wraps what SQLAlchemy raised, which wraps what the driver raised.
        cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0].rstrip(".")
        reason = _without_secrets(reason, url)
        raise StorageError(f"The study in {redacted(url)} cannot be reached: {reason}.") from error


def redacted(url: str) -> str:
    """A database URL without its password, and without its options, which may hold one. Of what is
    no URL only its beginning is shown: a password may stand anywhere in it."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        begins = re.split("[:/@?]", url)[0]
        return repr(begins if begins == url else f"{begins}…")
    host = (address.host or "").rpartition("@")[2]  # before it: the rest of a password with an @
    return address.set(query={}, host=host or None).render_as_string(hide_password=True)


def _no_url(text: str) -> StorageError:
    return StorageError(
        f"{redacted(text)} is no database URL; write one such as "
        "postgresql://user@host/database or journal:////folder/study.log."
    )


def _without_secrets(reason: str, url: str) -> str:
    """A driver's words without what it was told beside the host and the name of the database."""
    address = make_url(url)
    rest, at, _ = (address.host or "").rpartition("@")
    options = [value for name, value in address.query.items() if name != "user"]
    for secret in (address.password, rest + at, *options):
        if secret:
            reason = reason.replace(str(secret), "***")
    return reason
