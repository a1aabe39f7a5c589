"""Images made of others: an array in memory, some of others, or several joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vae_core.data.columns import rows_of
from vae_core.data.dataset import Images, ImageSet
from vae_core.data.hashes import Hashed, hashed, match_hashes
from vae_core.errors import UserError


@dataclass(frozen=True)
class ArrayImages:
    """Images in memory. `array`: uint8 [N, C, H, W]."""

    array: np.ndarray

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 4:
            raise ValueError(
                f"images are uint8 [N, C, H, W], not {self.array.dtype} of shape {self.array.shape}"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return self.array.shape

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""
        return np.take(self.array, indices, axis=0)


@dataclass(frozen=True)
class SubsetImages:
    """The images of `whole` that `indices` int64 [N] name, in that order; copies nothing.

    An index of −1 stands for an image that is no longer there.
    """

    whole: Images
    indices: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self.indices), *self.whole.shape[1:]

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller.

        Raises:
            UserError: when one of them is gone.
        """
        rows = self.indices[indices]
        if gone := int((rows < 0).sum()):
            raise UserError(
                f"{gone} of the {len(rows)} images asked for {'is' if gone == 1 else 'are'} no "
                "longer in the data set. Put back the images that the run was trained on."
            )
        return self.whole.gather(rows)

    def hashes(self) -> np.ndarray:
        """uint64 [N], equal where the pixels are equal."""
        # What the whole knows need not be made again.
        return self.whole.hashes()[self.indices] if isinstance(self.whole, Hashed) else hashed(self)


@dataclass(frozen=True)
class ConcatImages:
    """Images of one size, those of each of `pieces` after those of the one before; copies nothing.

    starts: int64 [len(pieces)], where each begins.
    """

    pieces: tuple[Images, ...]
    starts: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return sum(each.shape[0] for each in self.pieces), *self.pieces[0].shape[1:]

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""
        which = np.searchsorted(self.starts, indices, side="right") - 1
        if len(indices) and (which == which[0]).all():
            return self.pieces[which[0]].gather(indices - self.starts[which[0]])
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for i in np.unique(which):
            here = which == i
            out[here] = self.pieces[i].gather(indices[here] - self.starts[i])
        return out


def concatenate(pieces: Sequence[Images]) -> Images:
    """All images of `pieces`, one after the other."""
    counts = [each.shape[0] for each in pieces]
    return ConcatImages(tuple(pieces), np.cumsum([0, *counts[:-1]]))


def subset(image_set: ImageSet, indices: np.ndarray) -> ImageSet:
    """The images at `indices` int64 [N] of `image_set`, with what is known of each."""
    whole = image_set.images
    images: Images
    if isinstance(whole, ArrayImages):
        images = ArrayImages(whole.array[indices])
    else:
        images = SubsetImages(whole, indices)
    return replace(
        image_set,
        images=images,
        labels=None if image_set.labels is None else image_set.labels[indices],
        factors=None if image_set.factors is None else image_set.factors[indices],
        files=tuple(image_set.files[i] for i in indices) if image_set.files else (),
        hashes=None if image_set.hashes is None else image_set.hashes[indices],
        boxes=None if image_set.boxes is None else image_set.boxes[indices],
        columns=rows_of(image_set.columns, indices),
    )


def restore_order(image_set: ImageSet, hashes: np.ndarray) -> Images:
    """The images whose hashes uint64 [N] were recorded before, in that order."""
    present = image_set.known_hashes
    if np.array_equal(present, hashes):
        return image_set.images
    return SubsetImages(image_set.images, match_hashes(hashes, present))


def drawn(image_set: ImageSet, count: int, seed: int) -> ImageSet:
    """`count` images of `image_set`, in its order and always the same ones of the same set and
    seed; all of them where `count` is 0, or there are no more."""
    n = len(image_set)
    if not 0 < count < n:
        return image_set
    return subset(image_set, np.sort(np.random.default_rng(seed).permutation(n)[:count]))
