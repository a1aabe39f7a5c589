"""The training images as batches on the device of a training.

A GPU that has the room keeps the images, as bytes: a batch is a row of numbers then. Where it has
not, or on the CPU, they stay where they are, and the next batch is fetched beside the step: for a
GPU, and wherever they do not fit in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_core.config import TrainConfig
from vae_core.data.augmentation import AUGMENTATIONS, drawn, moved
from vae_core.data.batches import inside, to_floats
from vae_core.data.binarised import WHITE, grey_of
from vae_core.data.dataset import Images, ImageSet
from vae_core.data.transfer import on_device, pinned, sent
from vae_core.data.windows import IN_MEMORY, WindowReader
from vae_core.progress import Progress, no_progress

COPIED_AT_ONCE = 64 * 2**20
"""Bytes."""

ANEW = 1
"""Beside seed and step in what fresh black and white follows: augmentation has these two alone."""


class Batch(NamedTuple):
    """Images as floats in [0, 1], [B, C, H, W], with their labels, int64 [B], and with what of them
    counts, [B, 1, H, W] as `Context.mask`; None where there are none, or all counts."""

    x: Tensor
    labels: Tensor | None
    mask: Tensor | None


Places = Callable[[int], np.ndarray]
"""From the size of a batch to those of its rows, int64 [b], that are at hand here."""

Gather = Callable[[np.ndarray, Tensor, np.ndarray | None], Tensor]
"""Images uint8 [B, C, H, W] on the device, by their indices [B] on the host and on the device; the
last are those of the batch after it, where that is known."""


class Feed:
    """The batches of a part, each as its step is shown it: by indices, seed and step alone.

    They are the same to the bit wherever the images lie.
    """

    def __init__(
        self,
        part: ImageSet,
        train: TrainConfig,
        device: torch.device,
        resident: bool = False,
        progress: Progress = no_progress,
        places: Places = lambda batch: np.arange(batch),
    ) -> None:
        """`resident`: all images are copied to the device at once, which `progress` is told of.
        `places`: which rows of a batch are wanted, where it is shared out."""
        self.train, self.device, self.places = train, device, places
        self._windows: WindowReader | None = None
        self.images: Gather
        grey = grey_of(part.images)
        self._draws_anew, source = grey is not None, part.images if grey is None else grey
        if resident:
            self.images = Resident(source, device, progress)
        elif train.shuffling == "windows":
            self._windows = WindowReader(source, train.batch_size)
            self.images = Streamed(self._windows, device)
        else:
            self.images = Streamed(source, device)
        self._labels, self._boxes = (
            None if each is None else on_device(np.require(each, requirements="W"), device)
            for each in (part.labels, part.boxes)
        )

    def expect(self, batches: Sequence[np.ndarray], first: int = 0) -> None:
        """Announce the batches to come, each as the indices that `at` will be asked for: what of
        them is at hand here is read ahead, and nothing else.

        Args:
            first: which batch of its epoch the first of them is.
        """
        if self._windows is not None:
            rows = {size: self.places(size) for size in set(map(len, batches))}
            self._windows.expect([each[rows[len(each)]] for each in batches], first)

    def at(self, indices: np.ndarray, step: int, following: np.ndarray | None = None) -> Batch:
        """The images at `indices` int64 [B] as step number `step` sees them, or those of them that
        are at hand; `following`: those of the step after it."""
        batch, at_hand = len(indices), self.places(len(indices))
        indices = indices[at_hand]
        following = None if following is None else following[self.places(len(following))]
        on_it = on_device(indices, self.device)
        images = self.images(indices, on_it, following)
        labels = None if self._labels is None else self._labels[on_it]
        mask = None if self._boxes is None else inside(self._boxes[on_it], *images.shape[2:])
        if AUGMENTATIONS[self.train.augmentation]:
            random = np.random.default_rng((self.train.seed, step))
            whole = drawn((batch, *images.shape[1:]), self.train.augmentation, random)
            places = (whole[0][at_hand], whole[1][at_hand])
            images = moved(images, places)
            mask = None if mask is None else moved(mask, places)
        if self._draws_anew:
            images = drawn_anew(images, (self.train.seed, step), batch, at_hand)
        return Batch(to_floats(images), labels, mask)


class Resident:
    """All images in the memory of the device."""

    def __init__(self, images: Images, device: torch.device, progress: Progress) -> None:
        n, *shape = images.shape
        self.pixels = torch.empty((n, *shape), dtype=torch.uint8, device=device)
        size = max(1, COPIED_AT_ONCE // math.prod(shape))
        for start in range(0, n, size):
            progress("Copying the images to the GPU", start / n)
            indices = np.arange(start, min(start + size, n))
            self.pixels[indices[0] : indices[-1] + 1] = torch.from_numpy(images.gather(indices))

    def __call__(self, indices: np.ndarray, on_it: Tensor, following: np.ndarray | None) -> Tensor:
        return self.pixels.index_select(0, on_it)


class Streamed:
    """Images on the host; for a GPU, or from a disk, a thread gathers the next batch meanwhile."""

    def __init__(self, images: Images, device: torch.device) -> None:
        self._images, self._device = images, device
        self._ahead: ThreadPoolExecutor | None = None
        self._next: tuple[np.ndarray, Future[Tensor]] | None = None
        if device.type == "cuda" or math.prod(images.shape) > IN_MEMORY:
            self._ahead = ThreadPoolExecutor(1, "next batch")

    def __call__(self, indices: np.ndarray, on_it: Tensor, following: np.ndarray | None) -> Tensor:
        known, self._next = self._next, None
        expected = known is not None and np.array_equal(known[0], indices)
        gathered = known[1].result() if known and expected else self._gather(indices)
        if self._ahead is not None and following is not None:
            self._next = following, self._ahead.submit(self._gather, following)
        return sent(gathered, self._device)

    def _gather(self, indices: np.ndarray) -> Tensor:
        return pinned(self._images.gather(indices), self._device)


def drawn_anew(grey: Tensor, seeds: Sequence[int], batch: int, at_hand: np.ndarray) -> Tensor:
    """Grey images uint8 [b, C, H, W] as 0 and 255, where they lie: the rows `at_hand` of a batch of
    so many, whose draws follow `seeds` and the row alone.

    They are made on the host for the whole batch, a byte for each pixel and evenly from 0 to 254,
    so that the chance of white is value / 255 to the last bit, and the same on every device.
    """
    random = np.random.default_rng((*seeds, ANEW))
    levels = random.integers(0, WHITE, (batch, *grey.shape[1:]), np.uint8)[at_hand]
    return (grey > on_device(levels, grey.device)).to(torch.uint8).mul_(WHITE)
