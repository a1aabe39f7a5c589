"""Prepared images that are kept: found in the cache, or made there by one process for all."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vae_core.data.cache import make_room, prune
from vae_core.data.dataset import Progress
from vae_core.data.lease import Lease, take, touch
from vae_core.data.reading import why
from vae_core.data.rows import IMAGES, Rows, Unwritten, about
from vae_core.data.sizes import gigabytes
from vae_core.data.stored import StoredImages
from vae_core.errors import UserError
from vae_core.locations import CACHE_VARIABLE, cache_folder

FORMAT = 3
"""Counted up when what is prepared changes, so that older files are not taken for it."""

WAIT_S = 0.2

Kept = tuple[StoredImages | None, dict[int, str]]
"""The images, None where there is not one, and why some places are empty."""


def kept_images(
    name: str,
    key: Any,
    size: tuple[int, int],
    fill: Callable[[Rows], None],
    progress: Progress,
    source: Lease | None = None,
) -> Kept:
    """What `fill` wrote for `key`, now or earlier.

    Of several processes that want the same, one fills and the others wait. Where it is killed,
    the next one goes on from there.

    Args:
        size: how many images, and the least bytes of one.
        source: what is held for as long as the images are.

    Raises:
        UserError: when the cache cannot be written, or the disk is full.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, name, key]).encode()).hexdigest()
    entry = cache_folder() / f"{name}-{digest[:20]}"
    try:
        while True:
            found, lease = _look(entry, source)
            if found is not None:
                return found
            if lease is None:
                progress("Another process is preparing these images", None)
                time.sleep(WAIT_S)
                continue
            try:
                _fill(entry, size, fill)
            except BaseException:
                lease.release()
                raise
            lease.share()
            found = _open(entry, lease, source)
            prune()
            if found is not None:
                return found
            lease.release()  # another process has removed it in that very moment
    except (OSError, Unwritten) as error:
        reason = why(error) if isinstance(error, OSError) else error
        raise UserError(
            f"The prepared images could not be written to {entry.parent}: {reason}. Free some "
            f"space there, or let the environment variable {CACHE_VARIABLE} name another folder.",
            shell="python -m vae_core cache --clear",
        ) from error


def _look(entry: Path, source: Lease | None) -> tuple[Kept | None, Lease | None]:
    """What is there; else a lease to fill it with; neither while another process does."""
    entry.mkdir(parents=True, exist_ok=True)
    try:
        lease = take(entry, alone=False)
        if lease is None:
            return None, None
        found = _open(entry, lease, source)
        if found is None and about(entry) is not None:
            # Damaged by something else. Others may have it open, so it is not filled anew.
            aside = entry.with_name(f".preparing-{secrets.token_hex(8)}")
            entry.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        if found is not None:
            return found, lease
        lease.release()
        return None, take(entry, alone=True)
    except FileNotFoundError:  # it has just been removed
        return None, None


def _open(entry: Path, lease: Lease, source: Lease | None) -> Kept | None:
    """What is whole, held by `lease`; None where nothing usable lies there."""
    said = about(entry)
    if said is None:
        return None
    count, skipped = said
    touch(entry)
    if len(skipped) == count:
        lease.release()
        return None, skipped
    try:
        return StoredImages(entry / IMAGES, [lease, source]), skipped
    except (OSError, ValueError):
        return None


def _fill(entry: Path, size: tuple[int, int], fill: Callable[[Rows], None]) -> None:
    """Fill the entry; what ends it on the way leaves what can be gone on from."""
    rows = Rows(entry, size[0])
    try:
        _ask_for_room(entry, (size[0] - int(rows.done.sum())) * size[1])
        fill(rows)
        rows.finish()
    except Unwritten:  # on a full disk what is half done is in everybody's way
        shutil.rmtree(entry, ignore_errors=True)
        raise
    except BaseException:
        if rows.done.any():
            rows.sync()
        else:
            shutil.rmtree(entry, ignore_errors=True)
        raise
    finally:
        rows.close()


def _ask_for_room(entry: Path, needed: int) -> None:
    """Refuse at the start what would fail after hours."""
    make_room(needed, entry)
    free = shutil.disk_usage(entry).free
    if free < needed:
        raise UserError(
            f"The prepared images take {gigabytes(needed)}, and {gigabytes(free)} are free in "
            f"{entry.parent}. Free some space there, take a smaller image size, or let the "
            f"environment variable {CACHE_VARIABLE} name another folder."
        )
