"""Pictures prepared once: decoded, resized and kept as one file in the cache.

Only what was read and is no picture counts as skipped, now and later. What could not be read is an
error, after which all that was read is kept, and the next call goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import asdict, dataclass

import numpy as np

from vae_core.data.arrays import bring_to
from vae_core.data.cache import hold
from vae_core.data.dataset import Images, Progress, grouped, no_progress
from vae_core.data.decode import Target
from vae_core.data.decoding import decoded, spans_of
from vae_core.data.images import ArrayImages, PartOfImages
from vae_core.data.kept import kept_images
from vae_core.data.listing import Listing, Skip
from vae_core.data.pace import Pace
from vae_core.data.reading import why
from vae_core.data.rows import Rows
from vae_core.errors import UserError

LARGE = 256 * 2**20
"""Arrays beyond this many bytes are kept in the cache instead of in memory."""

PREPARING = "Preparing the images"
MOST_UNREAD = 100
"""Files that cannot be read after which no more are tried: each may cost a minute."""

OF_ONE_FILE = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.EIO})
"""Errors that the next file need not have. After any other the drive is given up at once."""


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
        UserError: when files cannot be read, the cache cannot be written, the disk is full, or an
            archive is unsafe.
    """
    count = len(listing)
    if not count:
        return Prepared(None, np.zeros(0, np.int64), ())

    def fill(rows: Rows) -> None:
        pace = Pace(PREPARING, rows.done, progress)
        unread: dict[int, OSError] = {}
        left = spans_of(~rows.done, listing.stamps[:, 0])
        for span, results in decoded(listing, left, target, pace.tell):
            unread |= {
                i: each for i, each in zip(span, results, strict=True) if isinstance(each, OSError)
            }
            for i, each in enumerate(results, span.start):
                if not isinstance(each, OSError):
                    rows.write(i, each)
            if unread and _hopeless(listing, unread):
                break
        if unread:
            raise _unread(listing, unread, int(rows.done.sum()))

    key = [asdict(target), listing.digest()]
    each = target.size**2 * (target.channels or 1)
    images, skipped = kept_images(name, key, (count, each), fill, progress, hold(listing.root))
    kept = np.delete(np.arange(count), list(skipped))
    reasons = tuple(Skip(listing.names[i], reason) for i, reason in skipped.items())
    part = PartOfImages(images, kept) if images is not None and skipped else images
    return Prepared(part, kept, reasons)


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

    def fill(rows: Rows) -> None:
        for start in range(0, len(array), 1000):
            progress(message, start / len(array))
            if not rows.done[start : start + 1000].all():
                some = bring_to(array[start : start + 1000], shape, no_progress, message)
                for i, image in enumerate(some, start):
                    rows.write(i, image)

    content = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    size = len(array), int(np.prod(shape))
    images, _ = kept_images(name, [shape, content], size, fill, progress)
    assert images is not None
    return images


def _hopeless(listing: Listing, unread: dict[int, OSError]) -> bool:
    """Whether to try no more files: the drive or the folder is gone, or too many were in vain."""
    kinds = {error.errno for error in unread.values()}
    return (
        len(unread) >= MOST_UNREAD or not kinds <= OF_ONE_FILE or not os.path.exists(listing.root)
    )


def _unread(listing: Listing, unread: dict[int, OSError], kept: int) -> UserError:
    """The one sentence for all that could not be read."""
    first = min(unread)
    files = "1 file" if len(unread) == 1 else f"{len(unread)} files"
    if not os.path.exists(listing.root):
        what = f"{listing.root} vanished while its images were prepared"
    else:
        what = (
            f"{files} in {listing.root} could not be read, such as {listing.names[first]}: "
            f"{why(unread[first])}"
        )
    return UserError(
        f"{what}. Make sure that all of it is there and may be read, then try again; the "
        f"{grouped(kept)} of {grouped(len(listing))} files that were read are kept."
    )
