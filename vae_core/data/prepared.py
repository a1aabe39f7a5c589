"""Pictures prepared once: decoded, resized and kept as one memory-mapped file in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from vae_core.data.arrays import bring_to
from vae_core.data.dataset import Images, Progress, no_progress
from vae_core.data.decode import NotAnImage, Target, decode
from vae_core.data.folders import CACHE_VARIABLE, cache_folder
from vae_core.data.images import ArrayImages
from vae_core.data.listing import Listing, Skip
from vae_core.data.mapped import MappedImages
from vae_core.data.stack import StackWriter
from vae_core.errors import UserError

FORMAT = 2
"""Counted up when what is prepared changes, so that older files are not taken for it."""

LARGE = 256 * 2**20
"""Arrays beyond this many bytes are kept in the cache instead of in memory."""

_ABANDONED_S = 24 * 3600
_About = dict[str, Any]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Prepared:
    """Images of those `kept` (indices into the files that were asked for), and what was skipped."""

    images: Images | None
    kept: np.ndarray
    skipped: tuple[Skip, ...]


def prepare_files(name: str, listing: Listing, target: Target, progress: Progress) -> Prepared:
    """Decode the files of `listing` into the cache, or find there what an earlier call prepared.

    `images` is None where not one file gave a picture.

    Raises:
        UserError: when the cache cannot be written, the disk is full, or an archive is unsafe.
    """

    if not len(listing):
        return Prepared(None, np.zeros(0, np.int64), ())

    def fill(stack: StackWriter) -> _About:
        skipped = []
        results = _in_order(lambda i: _read(listing, i, target), range(len(listing)))
        for i, result in enumerate(results):
            if isinstance(result, str):
                skipped.append((i, result))
            else:
                stack.append(result)
            if i % 64 == 0:
                progress("Preparing the images", i / len(listing))
        return {"skipped": skipped}

    images, about = _cached(name, [asdict(target), listing.digest()], fill)
    skipped: dict[int, str] = dict(about["skipped"])
    return Prepared(
        images,
        np.delete(np.arange(len(listing)), list(skipped)),
        tuple(Skip(listing.names[i], reason) for i, reason in skipped.items()),
    )


def prepare_array(
    name: str, array: np.ndarray, shape: tuple[int, int, int], progress: Progress
) -> Images:
    """Square images uint8 [N, C, S, S] at `shape`: in memory, or in the cache when they are large.

    Raises:
        UserError: when the cache cannot be written or the disk is full.
    """
    message = f"Resizing {name}"
    if array.shape[1:] == shape or len(array) * int(np.prod(shape)) <= LARGE:
        return ArrayImages(bring_to(array, shape, progress, message))

    def fill(stack: StackWriter) -> _About:
        for start in range(0, len(array), 1000):
            progress(message, start / len(array))
            for image in bring_to(array[start : start + 1000], shape, no_progress, message):
                stack.append(image)
        return {}

    content = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    images, _ = _cached(name, [shape, content], fill)
    assert images is not None
    return images


def _read(listing: Listing, index: int, target: Target) -> np.ndarray | str:
    """The picture, or why there is none."""
    try:
        with closing(listing.open(index)) as file:
            return decode(file, target)
    except NotAnImage as reason:
        return str(reason)
    except (OSError, BadZipFile, ZlibError, EOFError, NotImplementedError, RuntimeError) as error:
        return f"cannot be read: {error}".rstrip(".")


def _in_order(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`work` of every item in order, in threads (pillow lets go of the interpreter's lock)."""
    workers = min(os.cpu_count() or 1, 16)
    pending: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= 8 * workers:  # bounds the pictures in memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cached(
    name: str, key: Any, fill: Callable[[StackWriter], _About]
) -> tuple[MappedImages | None, _About]:
    """What `fill` wrote for `key`, now or earlier.

    It is written into a folder of its own that is then renamed: a reader sees all or nothing, and
    of two processes that prepare the same, the first one's work is kept by both.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, name, key]).encode()).hexdigest()
    entry = cache_folder() / f"{name}-{digest[:20]}"
    found = _open(entry)
    if found:
        return found
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(entry.parent)
        working = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".preparing-"))
        try:
            stack = StackWriter(working / "images.npy")
            try:
                about = fill(stack)
                stack.close()
            finally:
                stack.discard()
            (working / "about.json").write_text(json.dumps(about))
            _rename(working, entry)
        finally:
            shutil.rmtree(working, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"The prepared images could not be written to {entry.parent}: "
            f"{error.strerror or error}. Free some space there, or let the environment variable "
            f"{CACHE_VARIABLE} name another folder."
        ) from error
    found = _open(entry)
    if not found:
        raise UserError(f"The prepared images in {entry} cannot be read back; remove that folder.")
    return found


def _open(entry: Path) -> tuple[MappedImages | None, _About] | None:
    """What lies in the cache; None where nothing usable does."""
    try:
        about = json.loads((entry / "about.json").read_text())
        path = entry / "images.npy"
        return (MappedImages(path) if path.stat().st_size else None), about
    except (OSError, ValueError):
        return None


def _rename(working: Path, entry: Path) -> None:
    try:
        working.rename(entry)
    except OSError:
        if _open(entry):  # another process was first
            return
        shutil.rmtree(entry, ignore_errors=True)  # damaged by something else
        working.rename(entry)


def _remove_abandoned(folder: Path) -> None:
    """Remove what a process that was killed left half-done, once nobody can be at it any more."""
    for path in folder.glob(".preparing-*"):
        with suppress(FileNotFoundError):  # its owner has just finished
            newest = max(file.stat().st_mtime for file in (path, *path.iterdir()))
            if time.time() - newest > _ABANDONED_S:
                shutil.rmtree(path)
