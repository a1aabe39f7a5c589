"""Grey images made black and white: each value is the chance of white, or is held against one half.

Which pixels are white is drawn from what an image shows (its hash), so that it is the same in every
run, part and order. Drawn anew, as training does where `data.binarise` is dynamic, it follows seed,
step and the place in the batch alone.

Source: Salakhutdinov and Murray, On the quantitative analysis of deep belief networks (2008), once
for all; Burda et al., Importance Weighted Autoencoders (2016), section 5, anew each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vae_core.config import Binarisation
from vae_core.data.dataset import Dataset, Images, ImageSet
from vae_core.data.hashes import hashed_part, mixed
from vae_core.data.images import ConcatImages, SubsetImages, concatenate
from vae_core.errors import UserError

WHITE = 255

FIXED_SEED = 0
"""Of the draws that are made once: the same in all runs, whatever their seed, so that they are
measured on the same images."""


@dataclass(frozen=True)
class BinarisedImages:
    """Images in black and white, made when they are gathered.

    keys: uint64 [N], what the draws of each follow.
    """

    grey: Images
    keys: np.ndarray
    how: Binarisation

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return self.grey.shape

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""
        return black_and_white(self.grey.gather(indices), self.keys[indices], self.how)


def binarised(dataset: Dataset, how: Binarisation) -> Dataset:
    """The data set in black and white, in the same parts as its grey images.

    Raises:
        UserError: where its images have more than one channel.
    """
    if how == "none":
        return dataset
    channels = dataset.image_shape[0]
    if channels != 1:
        raise UserError(
            f"data.binarise: only grey images become black and white, and these have {channels} "
            "channels; set data.channels to 1, or data.binarise to none."
        )
    return replace(
        dataset,
        train=binarised_part(dataset.train, how),
        validation=binarised_part(dataset.validation, how),
        test=None if dataset.test is None else binarised_part(dataset.test, how),
    )


def binarised_part(part: ImageSet, how: Binarisation) -> ImageSet:
    """A part in black and white; it keeps the hashes of its grey images."""
    if how == "none":
        return part
    part = hashed_part(part)
    return replace(part, images=BinarisedImages(part.images, part.known_hashes, how))


def black_and_white(pixels: np.ndarray, keys: np.ndarray, how: Binarisation) -> np.ndarray:
    """uint8 [B, C, H, W] as 0 and 255, by draws that follow `keys`, uint64 [B]."""
    if how == "none":
        return pixels
    if how == "threshold":
        white = pixels > WHITE // 2
    else:
        white = pixels > _levels(keys, math.prod(pixels.shape[1:])).reshape(pixels.shape)
    return white.astype(np.uint8) * np.uint8(WHITE)


def _levels(keys: np.ndarray, count: int) -> np.ndarray:
    """`count` levels below 255 for each key, as good as evenly drawn: uint8 [B, count].

    A pixel above its level is white, with a probability of its value / 255: 0 never, 255 always.
    Each has 16 bits of a word of its own, so that no chance is off by more than 2⁻¹⁶.
    """
    words = -(-count // 4)
    seeds = mixed((keys, np.full(1, FIXED_SEED, np.uint64)))[:, None]
    bits = mixed((seeds, np.arange(words, dtype=np.uint64)[None]))
    halves = bits.astype("<u8").view("<u2").astype(np.uint32)
    return ((halves * WHITE) >> 16).astype(np.uint8)[:, :count]


def grey_of(images: Images) -> Images | None:
    """What images that are to be drawn anew are drawn from, in the same order; None where they are
    shown as they are."""
    match images:
        case BinarisedImages(grey, _, "dynamic"):
            return grey
        case SubsetImages(whole, indices):
            found = grey_of(whole)
            return None if found is None else SubsetImages(found, indices)
        case ConcatImages(pieces, _):
            grey_pieces = [grey_of(piece) for piece in pieces]
            known = [piece for piece in grey_pieces if piece is not None]
            return concatenate(known) if len(known) == len(pieces) else None
    return None
