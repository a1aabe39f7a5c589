"""Pictures prepared once, by one process for all: decoded, resized and kept in the cache.

Only what was read and is no picture counts as skipped, now and later. What could not be read is an
error, after which all that was read is kept, and the next call goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.cache import CacheLock, acquire, lock_upload, mark_used, prune, require_space
from vae_core.data.dataset import Dataset, Images, ImageSet
from vae_core.data.hashes import content_hashes
from vae_core.data.images import ArrayImages, SubsetImages
from vae_core.data.npy import IMAGES, NpyWriter, StoredImages, WriteFailed, read_summary
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.kinds import Cell
from vae_core.imaging.listing import Listing, skipped_note
from vae_core.imaging.pool import batch_spans, decode_all
from vae_core.imaging.reading import CHANGES, Skip, reason_of
from vae_core.imaging.resize import resize_all
from vae_core.locations import CACHE_VARIABLE, cache_folder
from vae_core.progress import Progress, ProgressMeter, no_progress
from vae_core.units import grouped

LARGE = 256 * 2**20
"""Arrays beyond this many bytes are kept in the cache instead of in memory."""

PREPARING = "Preparing the images"
MOST_UNREAD = 100
"""Files that cannot be read after which no more are tried: each may cost a minute."""

OF_ONE_FILE = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.EIO})
"""Errors that the next file need not have. After any other the drive is given up at once."""

FORMAT = 4
"""Counted up when what is prepared changes, so that older files are not taken for it."""

POLL_S = 0.2

Cached = tuple[StoredImages | None, dict[int, str]]
"""The images, None where there is not one, and why some places are empty."""


@dataclass(frozen=True)
class Prepared:
    """What the files of a listing gave.

    images: None where not one gave a picture.
    boxes: int16 [N, 4], where in each image the picture lies; None where there is no padding.
    kept: int64 [N], which of the picture files did; files: their names.
    skipped: whatever else lies there, and why it gives none.
    labels, columns: of the pictures that are there, as `Listing` has them.
    seen: what the listing notes.
    """

    images: Images | None
    kept: np.ndarray
    files: tuple[str, ...]
    skipped: tuple[Skip, ...]
    labels: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    boxes: np.ndarray | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on files of several pictures and on what was skipped, if there are any."""
        total = len(self.kept) + len(self.skipped)
        return (*self.seen, *((skipped_note(self.skipped, total),) if self.skipped else ()))


def prepare_files(name: str, listing: Listing, target: Target, progress: Progress) -> Prepared:
    """Decode the files of `listing` into the cache, or find there what an earlier call prepared.

    Raises:
        UserError: when files cannot be read, the cache cannot be written, the disk is full, or an
            archive is unsafe.
    """
    count = len(listing)
    if not count:
        return Prepared(None, np.zeros(0, np.int64), (), listing.skipped, seen=listing.notes)

    def fill(writer: NpyWriter) -> None:
        done = writer.done
        meter = ProgressMeter(PREPARING, len(done), lambda: int(done.sum()), progress)
        unread: dict[int, OSError] = {}
        left = batch_spans(~writer.done, listing.stamps[:, 0])
        for span, results in decode_all(listing, left, target, meter.update):
            for i, each in zip(span, results, strict=True):
                if isinstance(each, OSError):
                    unread[i] = each
                elif isinstance(each, tuple):
                    try:
                        writer.write(i, each[0], each[1] if target.resize == "fit" else None)
                    except ValueError as reason:
                        writer.write(i, str(reason))
                elif isinstance(each, str):
                    writer.write(i, each)
            if unread and _give_up(listing, unread):
                break
        if unread:
            raise _unread(listing, unread, int(writer.done.sum()))

    each = target.height * target.width * (target.channels or 1)
    source = lock_upload(listing.root)
    left_open, key = (
        [asdict(wanted), listing.digest()] for wanted in (replace(target, channels=None), target)
    )
    # With channels left open the same images came out, if they have as many.
    known = target.channels and _known_images(name, left_open, target.channels, source)
    stored, skipped = known or cached_images(name, key, (count, each), fill, progress, source)
    kept = np.delete(np.arange(count), list(skipped))
    images: Images | None = stored
    boxes = None
    if stored is not None:
        boxes = stored.boxes if stored.boxes is None else stored.boxes[kept]
        images = SubsetImages(stored, kept) if skipped else stored
    reasons = (Skip(listing.names[i], reason) for i, reason in skipped.items())
    every = sorted((*listing.skipped, *reasons), key=lambda skip: skip.name)
    return Prepared(
        images,
        kept,
        tuple(listing.names[i] for i in kept),
        tuple(every),
        None if listing.labels is None else tuple(listing.labels[i] for i in kept.tolist()),
        {name: tuple(cells[i] for i in kept.tolist()) for name, cells in listing.columns.items()},
        listing.notes,
        boxes,
    )


def prepare_array(
    name: str, array: np.ndarray, shape: tuple[int, int, int], progress: Progress
) -> Images:
    """Images uint8 [N, C, H, W] at `shape`: in memory, or in the cache when they are large.

    Raises:
        UserError: when the cache cannot be written or the disk is full.
    """
    message = f"Resizing {name}"
    if array.shape[1:] == shape or len(array) * int(np.prod(shape)) <= LARGE:
        return ArrayImages(resize_all(array, shape, progress, message))

    def fill(writer: NpyWriter) -> None:
        for start in range(0, len(array), 1000):
            progress(message, start / len(array))
            if not writer.done[start : start + 1000].all():
                some = resize_all(array[start : start + 1000], shape, no_progress, message)
                for i, image in enumerate(some, start):
                    writer.write(i, image)

    content = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    size = len(array), int(np.prod(shape))
    images, _ = cached_images(name, [shape, content], size, fill, progress)
    assert images is not None
    return images


def dataset_from_arrays(
    name: str,
    config: DataConfig,
    progress: Progress,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None = None,
    label_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """The registered data set `name`, which never gains an image, out of what its files hold.

    Args:
        train, test: images uint8 [N, C, H, W] and labels int64 [N].

    Raises:
        UserError: as `prepare_array` and `split_dataset`.
    """
    shape = datasets[name].shape_for(config)

    def prepared(part: tuple[np.ndarray, np.ndarray]) -> ImageSet:
        pixels, labels = part
        images = prepare_array(name, pixels, shape, progress)
        # Of the images as they come, so that the parts are the same at every size.
        return ImageSet(images, labels, hashes=content_hashes(ArrayImages(pixels)))

    pool, tests = prepared(train), None if test is None else prepared(test)
    return split_dataset(
        name, pool, tests, config, fixed=True, label_names=label_names, notes=notes
    )


def _give_up(listing: Listing, unread: dict[int, OSError]) -> bool:
    """Whether to try no more files: the drive or the folder is gone, or too many were in vain."""
    kinds = {error.errno for error in unread.values()}
    return (
        len(unread) >= MOST_UNREAD or not kinds <= OF_ONE_FILE or not os.path.exists(listing.root)
    )


def _unread(listing: Listing, unread: dict[int, OSError], kept: int) -> UserError:
    """The one sentence for all that could not be read."""
    first = min(unread)
    files = "1 file" if len(unread) == 1 else f"{len(unread)} files"
    kept_are = f"the {grouped(kept)} of {grouped(len(listing))} files that were read are kept"
    if not os.path.exists(listing.root):
        what = f"{listing.root} vanished while its images were prepared"
    else:
        what = (
            f"{files} in {listing.root} could not be read, such as {listing.names[first]}: "
            f"{reason_of(unread[first])}"
        )
        if all(error.strerror == CHANGES for error in unread.values()):
            return UserError(f"{what}. Wait until nothing is written there, then try again.")
    return UserError(
        f"{what}. Make sure that all of it is there and may be read, then try again; {kept_are}."
    )


def cached_images(
    name: str,
    key: Any,
    size: tuple[int, int],
    fill: Callable[[NpyWriter], None],
    progress: Progress,
    source: CacheLock | None = None,
) -> Cached:
    """What `fill` wrote for `key`, now or earlier.

    Of several processes that want the same, one fills and the others wait. Where it is killed,
    the next one goes on from there.

    Args:
        size: how many images, and the least bytes of one.
        source: what is held for as long as the images are.

    Raises:
        UserError: when the cache cannot be written, or the disk is full.
    """
    entry = _entry(name, key)
    try:
        while True:
            found, lock = _look(entry, source)
            if found is not None:
                return found
            if lock is None:
                progress("Another process is preparing these images", None)
                time.sleep(POLL_S)
                continue
            try:
                _fill(entry, size, fill)
            except BaseException:
                lock.release()
                raise
            lock.share()
            found = _open(entry, lock, source)
            prune()
            if found is not None:
                return found
            lock.release()  # another process has removed it in that very moment
    except (OSError, WriteFailed) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise UserError(
            f"The prepared images could not be written to {entry.parent}: {reason}. Free some "
            f"space there, or let the environment variable {CACHE_VARIABLE} name another folder.",
            shell="python -m vae_core cache --clear",
        ) from error


def _entry(name: str, key: Any) -> Path:
    digest = hashlib.sha256(json.dumps([FORMAT, name, key]).encode()).hexdigest()
    return cache_folder() / f"{name}-{digest[:20]}"


def _known_images(name: str, key: Any, channels: int, source: CacheLock | None) -> Cached | None:
    """What was written for `key`, if it is there and whole and has so many channels."""
    entry = _entry(name, key)
    try:
        if read_summary(entry) is None:
            return None
        found, lock = _look(entry, source)
    except OSError:
        return None
    if found is not None and found[0] is not None and found[0].shape[1] == channels:
        return found
    if lock is not None:
        lock.release()
    return None


def _look(entry: Path, source: CacheLock | None) -> tuple[Cached | None, CacheLock | None]:
    """What is there; else a lock to fill it with; neither while another process does."""
    entry.mkdir(parents=True, exist_ok=True)
    try:
        lock = acquire(entry, exclusive=False)
        if lock is None:
            return None, None
        found = _open(entry, lock, source)
        if found is None and read_summary(entry) is not None:
            # Damaged by something else. Others may have it open, so it is not filled anew.
            aside = entry.with_name(f".preparing-{secrets.token_hex(8)}")
            entry.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        if found is not None:
            return found, lock
        lock.release()
        return None, acquire(entry, exclusive=True)
    except FileNotFoundError:  # it has just been removed
        return None, None


def _open(entry: Path, lock: CacheLock, source: CacheLock | None) -> Cached | None:
    """What is whole, held by `lock`; None where nothing usable lies there."""
    summary = read_summary(entry)
    if summary is None:
        return None
    count, skipped = summary
    mark_used(entry)
    if len(skipped) == count:
        lock.release()
        return None, skipped
    try:
        return StoredImages(entry / IMAGES, [lock, source]), skipped
    except (OSError, ValueError):
        return None


def _fill(entry: Path, size: tuple[int, int], fill: Callable[[NpyWriter], None]) -> None:
    """Fill the entry; what ends it on the way leaves what can be gone on from."""
    writer = NpyWriter(entry, size[0])
    try:
        needed = (size[0] - int(writer.done.sum())) * size[1]
        require_space(needed, entry, "The prepared images", "take a smaller image size, ")
        fill(writer)
        writer.finish()
    except WriteFailed:  # on a full disk what is half done is in everybody's way
        shutil.rmtree(entry, ignore_errors=True)
        raise
    except BaseException:
        if writer.done.any():
            writer.sync()
        else:
            shutil.rmtree(entry, ignore_errors=True)
        raise
    finally:
        writer.close()
