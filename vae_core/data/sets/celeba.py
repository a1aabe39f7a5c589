"""CelebA: 202 599 faces, in torchvision's layout or in that of the Kaggle archive."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import subset
from vae_core.data.prepare import prepare_files
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.listing import Listing, list_folder
from vae_core.imaging.reading import Refused, read_whole, reason_of
from vae_core.locations import data_folder
from vae_core.progress import Progress

IMAGE_SIZE = 64
CENTRE = 148 / 178
"""The usual crop: 148 pixels around the centre of images that are 178 wide."""

TRAIN, VALIDATION, TEST = 0, 1, 2
"""Codes in the partition file."""


@datasets.register(
    "celeba",
    label="CelebA",
    blurb="202 599 faces of known people, colour. Fetch it yourself into the data folder.",
    origin="files",
    image_shape=(3, IMAGE_SIZE, IMAGE_SIZE),
    order=50,
    paper="Liu et al. 2015, Deep learning face attributes in the wild, arXiv:1411.7766",
)
def load_celeba(config: DataConfig, progress: Progress) -> Dataset:
    """The aligned faces with their official parts.

    CelebA brings validation images of its own: they are the validation part, whatever share the
    configuration names.

    Raises:
        UserError: when the images are not there or fewer than two can be read.
    """
    progress("Looking for CelebA", None)
    pictures, listing = _find(data_folder(config.data_dir), progress)
    size = config.size or (IMAGE_SIZE, IMAGE_SIZE)
    target = Target(*size, config.resize, config.channels or 3, centre=CENTRE)
    prepared = prepare_files("celeba", listing, target, progress)
    notes = prepared.notes
    if prepared.images is None:
        raise UserError(f"None of the files in {pictures} is a readable image. {' '.join(notes)}")
    everything = ImageSet(prepared.images, files=prepared.files)
    codes = _partition(pictures)
    if codes is None:
        notes += (
            "There is no list_eval_partition file beside the images, so all of them count as "
            "training images.",
        )
        return split_dataset("celeba", everything, None, config, notes=notes)
    parts = np.array([codes.get(name, TRAIN) for name in prepared.files])
    train, validation, test = (np.flatnonzero(parts == p) for p in (TRAIN, VALIDATION, TEST))
    pool = subset(everything, train)
    tests = subset(everything, test) if len(test) else None
    own = subset(everything, validation) if len(validation) else None
    if own is not None:
        notes += (
            "Validation images are those that CelebA names, not a share of the training images.",
        )
    return split_dataset("celeba", pool, tests, config, validation=own, notes=notes)


def _find(folder: Path, progress: Progress) -> tuple[Path, Listing]:
    """The folder with the pictures, and the pictures in it."""
    for base in (folder / "celeba", folder):
        for inner in ("img_align_celeba/img_align_celeba", "img_align_celeba"):
            if (base / inner).is_dir():
                listing = list_folder(base / inner, progress)
                if len(listing):
                    return base / inner, listing
    raise UserError(
        f"CelebA is not in {folder}: there is no img_align_celeba with images in it, nor "
        "celeba/img_align_celeba. Put the aligned images there, with list_eval_partition.txt or "
        ".csv beside them, or set the data folder to where they lie."
    )


def _partition(pictures: Path) -> dict[str, int] | None:
    """Which part each picture belongs to, by file name; None where no file tells.

    Raises:
        UserError: when the file that should tell is damaged.
    """
    for folder in (pictures.parent, pictures.parent.parent):
        for name, delimiter in (("list_eval_partition.txt", " "), ("list_eval_partition.csv", ",")):
            path = folder / name
            if path.is_file():
                return _read_partition(path, delimiter)
    return None


def _read_partition(path: Path, delimiter: str) -> dict[str, int]:
    try:
        text = read_whole(path).decode("utf-8")
        rows = csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
        return {row[0]: int(row[1]) for row in rows if row and row[0] != "image_id"}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}. Try again.") from None
    except (Refused, ValueError, IndexError, csv.Error) as error:
        raise UserError(
            f"{path} cannot be read: {error}. Each line names an image and 0, 1 or 2; "
            "fetch the file again."
        ) from None
