"""Whose code a person lets run: content that was named on a command line with `--trust`.

It is remembered in the person's own configuration folder, by a digest of the content. A run folder
says nothing of it: whoever sends one cannot say that it is to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vae_core.errors import UserError
from vae_core.files import replacing
from vae_core.locations import config_folder

TRUSTED = "trusted.json"

_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 of files, each with its name: of all of them together, in whichever order."""
    whole = hashlib.sha256()
    for name, data in sorted(files):
        each = hashlib.sha256(data).hexdigest()
        whole.update(f"{name!r} {each}\n".encode())
    return whole.hexdigest()


def is_trusted(digest: str) -> bool:
    """Whether this person has said that content of this digest may run."""
    return digest in _remembered(_file())


def trust(digest: str) -> None:
    """Remember that content of this digest may run. A `UserError` where it cannot be remembered."""
    place = _file()
    found = sorted({*_remembered(place), digest})
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as file:
            file.write(json.dumps(found, indent=2).encode() + b"\n")
    except OSError as error:
        raise UserError(
            f"What you trust cannot be remembered in {place}: {error.strerror or error}."
        ) from None


def _file() -> Path:
    return config_folder() / TRUSTED


def _remembered(place: Path) -> set[str]:
    """The digests in a file; none of one that is missing or damaged, which trusts nobody."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(place.read_bytes())
        if isinstance(found, list):
            return {each for each in found if isinstance(each, str) and _DIGEST.fullmatch(each)}
    return set()
