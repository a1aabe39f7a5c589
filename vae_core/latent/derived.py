"""What is derived from a run and kept so that it is not made twice; never worth a failure."""

from __future__ import annotations

import hashlib
import logging
import os

from vae_core.errors import UserError
from vae_core.locations import cache_folder
from vae_core.runs import Folder, Run

log = logging.getLogger(__name__)

BLOCKS, BLOCK = 64, 4096
"""What is read of a large file, evenly spread: a training step changes every one of them."""


def keep(run: Run, name: str, data: bytes) -> None:
    """Keep a derived file in its run; where the run cannot be written, in the user's cache.

    Where neither can, that is said in the log, and it is made again when it is needed again.
    """
    try:
        run.write_bytes(name, data)
        return
    except UserError as error:
        problem = error
    try:
        beside = _beside(run)
        beside.path.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(name, data)
    except (UserError, OSError) as error:
        log.warning("%s was made and could not be kept. %s %s", name, problem, error)


def derived_places(run: Run, name: str) -> list[Folder]:
    """The folders where a derived file of this name lies, the run first."""
    return [place for place in (run, _beside(run)) if place.has(name)]


def fingerprint(run: Run, name: str) -> str:
    """What the content of a file is known by: equal for equal content, and another one after a
    training step. Of large files a part is read, within milliseconds. "" without the file.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with run.opened(name) as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(str(size).encode())
            whole = size <= BLOCKS * BLOCK
            starts = [0] if whole else [i * (size - BLOCK) // (BLOCKS - 1) for i in range(BLOCKS)]
            for start in starts:
                file.seek(start)
                digest.update(file.read(BLOCKS * BLOCK if whole else BLOCK))
    except OSError:
        return ""
    return digest.hexdigest()


def _beside(run: Run) -> Folder:
    """The folder of a run in the user's cache, by the place of the run."""
    place = hashlib.blake2b(str(run.path.absolute()).encode(), digest_size=10).hexdigest()
    return Folder(cache_folder() / f"derived-{place}")
