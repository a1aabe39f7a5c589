"""What a data set is, once prepared: uint8 images that can be gathered by index, plus labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vae_core.choices import Choice
from vae_core.config import DataConfig
from vae_core.data.columns import Columns, attribute_names
from vae_core.data.difference import Difference


class Images(Protocol):
    """N images of one size, uint8, gathered by index; in memory, memory-mapped or drawn."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], in that order: uint8 [B, C, H, W], owned by the caller."""


@dataclass(frozen=True)
class ImageSet:
    """Images with what is known of each.

    labels: int64 [N], indices into `Dataset.label_names`, or None.
    factors: int64 [N, F], the generating factors of drawn data, or None.
    files: names of the files the images came from, or () when they came from none.
    hashes: uint64 [N], equal where images are exact copies: of the prepared pixels, or of what
        they were made from (`content_hashes`). `split_dataset` fills them in.
    boxes: int16 [N, 4], the (top, left, bottom, right) in each image beside which it is padding
        that is neither learned nor measured; None where all of every image counts.
    columns: what else is known of each, by name: numbers, dates, attributes or texts [N], as
        `vae_core.data.columns` has them.
    """

    images: Images
    labels: np.ndarray | None = None
    factors: np.ndarray | None = None
    files: tuple[str, ...] = ()
    hashes: np.ndarray | None = None
    boxes: np.ndarray | None = None
    columns: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def known_hashes(self) -> np.ndarray:
        """The hashes, uint64 [N], of a set that `split_dataset` made."""
        assert self.hashes is not None, "split_dataset() fills them in"
        return self.hashes


@dataclass(frozen=True)
class Dataset:
    """A prepared data set: three parts that share no image.

    `test` is None when the source has no test files of its own. `notes` are sentences for the
    person, such as "3 files were skipped: …".

    fixed: the source never gains an image, such as MNIST.
    left_out: uint64 [M], hashes of the training images that `limit` left out.
    difference: for the data set of a run, in what it is not the one that the run was trained on.
    resolved: the configuration with what it left open decided, as a run keeps it; None where
        nothing was open.
    choices: what was decided, and why.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet | None = None
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fixed: bool = False
    left_out: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    difference: Difference | None = None
    resolved: DataConfig | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.train.images.shape[1:]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns of attributes: what an image has or has not, several at a time."""
        return attribute_names(self.train.columns)

    @property
    def parts(self) -> dict[str, ImageSet]:
        """The parts that there are, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}
