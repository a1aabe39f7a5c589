"""Images that were known before, found again among those that there are now, by what they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_core.data.dataset import Images, ImageSet
from vae_core.data.hashes import mixed, occurrence
from vae_core.errors import UserError


@dataclass(frozen=True)
class FoundAgain:
    """Images in an order that was known before, of which some may no longer be there.

    rows: int64 [N], places in `images`, −1 for those that are gone.
    """

    images: Images
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self.rows), *self.images.shape[1:]

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller.

        Raises:
            UserError: when one of them is gone.
        """
        rows = self.rows[indices]
        gone = int((rows < 0).sum())
        if gone:
            raise UserError(
                f"{gone} of the {len(rows)} images asked for {'is' if gone == 1 else 'are'} no "
                "longer in the data set. Put back the images that the run was trained on."
            )
        return self.images.gather(rows)


def found_again(image_set: ImageSet, hashes: np.ndarray) -> Images:
    """The images whose hashes uint64 [N] are known from before, in that order."""
    present = image_set.hashes
    assert present is not None, "assemble() knows them"
    if np.array_equal(present, hashes):
        return image_set.images
    none = np.zeros(len(hashes)), np.zeros(len(present))
    return FoundAgain(image_set.images, matched(hashes, none[0], present, none[1]))


def matched(
    wanted: np.ndarray, named_as: np.ndarray, hashes: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """The row of `hashes` [M] for each image of `wanted` [N], −1 where there is none: int64 [N].

    Copies are told apart by their labels first, then by their order; no row is given twice.
    """
    rows = np.full(len(wanted), -1)
    for mine, theirs in (((wanted, named_as), (hashes, labels)), ((wanted,), (hashes,))):
        missing = np.flatnonzero(rows < 0)
        free = np.setdiff1d(np.arange(len(hashes)), rows)
        if not len(missing) or not len(free):
            break
        keys = [
            mixed((key, occurrence(key)))
            for key in (mixed(c[missing] for c in mine), mixed(c[free] for c in theirs))
        ]
        order = np.argsort(keys[1])
        places = np.minimum(np.searchsorted(keys[1], keys[0], sorter=order), len(free) - 1)
        found = keys[1][order[places]] == keys[0]
        rows[missing[found]] = free[order[places[found]]]
    return rows
