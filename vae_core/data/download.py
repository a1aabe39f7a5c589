"""Fetching one file: with progress, checked, and never left half-written; and unpacking it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import Request, urlopen

from vae_core.errors import UserError
from vae_core.files import new_name
from vae_core.progress import Progress

TIMEOUT_S = 30
_CHUNK = 1 << 18


def fetch(urls: Sequence[str], target: Path, md5: str, what: str, progress: Progress) -> None:
    """Download `target` from the first of `urls` that yields the file with checksum `md5`.

    Args:
        what: the data set's name, for the messages.

    Raises:
        UserError: when no address answers with the right file, or it cannot be stored.
    """
    reasons = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = new_name(target.parent, ".downloading-")
    except OSError as error:
        raise _cannot_store(what, target, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            for url in urls:
                try:
                    found = _receive(url, file, what, progress)
                except _Unreachable as error:
                    reasons.append(str(error))
                    continue
                if found == md5:
                    file.flush()
                    os.replace(temporary, target)
                    return
                reasons.append("it sent another file than expected")
    except OSError as error:
        raise _cannot_store(what, target, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    raise UserError(
        f"{what} is not in {target.parent} and could not be downloaded ({'; '.join(reasons)}). "
        "Check the network and try again, or set the data folder to where the files lie."
    )


class _Unreachable(Exception):
    """The other side did not answer, or broke off."""


def _receive(url: str, file: BinaryIO, what: str, progress: Progress) -> str:
    """Write what `url` sends into `file` from its start; the md5 of it."""
    file.seek(0)
    file.truncate()
    digest = hashlib.md5(usedforsecurity=False)
    try:
        response = urlopen(Request(url, headers={"User-Agent": "vae_core"}), timeout=TIMEOUT_S)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise _Unreachable(str(getattr(reason, "strerror", None) or reason)) from None
    with response:
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        while True:
            progress(f"Downloading {what}", done / total if total else None)
            try:
                chunk = response.read(_CHUNK)
            except (HTTPException, TimeoutError, ConnectionError) as error:
                raise _Unreachable(f"the connection broke off: {error}") from None
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
            file.write(chunk)
            done += len(chunk)


def _cannot_store(what: str, target: Path, error: OSError) -> UserError:
    return UserError(
        f"{what} is not in {target.parent} and cannot be stored there: "
        f"{error.strerror or error}. Choose a data folder that can be written to and has room."
    )


def unpack(archive: Path) -> None:
    """Put what `archive` holds beside it and remove it; a broken-off attempt leaves nothing."""
    from torchvision.datasets.utils import extract_archive

    with TemporaryDirectory(dir=archive.parent, prefix=".unpacking-") as folder:
        extract_archive(str(archive), folder)
        for path in Path(folder).iterdir():
            target = archive.parent / path.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(path, target)
    archive.unlink()
