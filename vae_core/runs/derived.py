"""What is derived from a run and can be made again: kept in the cache, and never worth a failure.

A run has a folder of its own there, which goes with it when it is deleted, and otherwise when it
was not used for longest (`data/cache.py`). Each file says in its head what it was made of: the
step of the checkpoint, the content of the weights or of the encodings, and what else it depends
on. Earlier versions kept these files in the run, where they are still looked for, and shipped runs
bring theirs along; none is written there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import numpy as np
from safetensors.numpy import save

from vae_core.errors import UserError
from vae_core.locations import cache_folder
from vae_core.runs.folder import Folder
from vae_core.runs.reader import Reader
from vae_core.runs.tensors import Tensors

T = TypeVar("T")

log = logging.getLogger(__name__)

BLOCKS, BLOCK = 64, 4096
"""What is read of a large file, evenly spread: a training step changes every one of them."""


def derived_folder(run: Reader) -> Folder:
    """The folder of a run in the cache, by the place of the run. A UserError when there can be no
    cache."""
    place = hashlib.blake2b(str(run.path.absolute()).encode(), digest_size=10).hexdigest()
    return Folder(cache_folder() / f"derived-{place}")


def keep(
    run: Reader, name: str, arrays: Mapping[str, np.ndarray], made_of: Mapping[str, str]
) -> None:
    """Keep what was derived from a run; where it cannot be kept, the log says so, and it is made
    again when it is needed again.

    Args:
        name: of the file, from `layout`.
        made_of: all that it depends on, for whoever reads it to compare.
    """
    # `ascontiguousarray` would make a row of a single number.
    contiguous = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    try:
        place = derived_folder(run)
        place.path.mkdir(parents=True, exist_ok=True)
        place.write_bytes(name, save(contiguous, dict(made_of)))
    except (UserError, OSError) as error:
        log.warning("%s was made and could not be kept. %s", name, error)


def find(run: Reader, name: str, read: Callable[[Tensors], T | None]) -> T | None:
    """What `read` makes of the file that is kept under this name; None where there is none, or it
    returns None as the file was made of something else, or raises as it is damaged a `ValueError`,
    `KeyError`, `TypeError` or `RuntimeError`."""
    places = [run]
    with suppress(UserError):
        places.insert(0, derived_folder(run))
    for place in places:
        with suppress(OSError, KeyError, RuntimeError, TypeError, ValueError):  # it is made again
            with place.tensors(name) as file:
                found = read(file)
            if found is not None:
                if place is not run:
                    with suppress(OSError):  # what is used stays longer than the rest of the cache
                        os.utime(place.path / name)
                return found
    return None


def version(run: Reader, name: str) -> int | None:
    """Changes whenever what is kept under this name is written; None where there is nothing."""
    with suppress(UserError):
        kept = derived_folder(run).version(name)
        if kept is not None:
            return kept
    return run.version(name)


def drop(run: Reader, name: str) -> None:
    """Remove what is kept under this name, which nobody reads again."""
    with suppress(UserError, OSError):
        (derived_folder(run).path / name).unlink()


def forget(run: Reader) -> None:
    """Remove all that is kept of a run, as far as it can be removed."""
    with suppress(UserError):
        shutil.rmtree(derived_folder(run).path, ignore_errors=True)


def fingerprint(run: Reader, name: str) -> str:
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
