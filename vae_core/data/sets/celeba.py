"""CelebA: 202 599 faces, in torchvision's layout or in that of the Kaggle archive."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.columns import attribute_names
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import subset
from vae_core.data.labels import NO_LABEL
from vae_core.data.matching import Names, match
from vae_core.data.meanings import typed
from vae_core.data.prepare import prepare_files
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.data.tables import NoTable, read_table
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.listing import Listing
from vae_core.imaging.reading import Refused, read_whole, reason_of
from vae_core.imaging.walk import list_folder
from vae_core.locations import data_folder
from vae_core.progress import Progress
from vae_core.registry import unknown

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
    """The aligned faces with their official parts, and their attributes where these lie beside.

    CelebA brings validation images of its own: they are the validation part, whatever share the
    configuration names.

    Raises:
        UserError: when the images are not there or fewer than two can be read, or the label column
            names no attribute.
    """
    progress("Looking for CelebA", None)
    pictures, listing = _find(data_folder(config.data_dir), progress)
    size = config.size or (IMAGE_SIZE, IMAGE_SIZE)
    target = Target(*size, config.resize, config.channels or 3, centre=CENTRE)
    prepared = prepare_files("celeba", listing, target, progress)
    notes = prepared.notes
    if prepared.images is None:
        raise UserError(f"None of the files in {pictures} is a readable image. {' '.join(notes)}")
    columns = _attributes(pictures, prepared.files, progress)
    labels, label_names = _label(columns, config.label_column)
    everything = ImageSet(prepared.images, labels, files=prepared.files, columns=columns)
    codes = _partition(pictures)
    if codes is None:
        notes += (
            "There is no list_eval_partition file beside the images, so all of them count as "
            "training images.",
        )
        return split_dataset(
            "celeba", everything, None, config, label_names=label_names, notes=notes
        )
    parts = np.array([codes.get(name, TRAIN) for name in prepared.files])
    train, validation, test = (np.flatnonzero(parts == p) for p in (TRAIN, VALIDATION, TEST))
    pool = subset(everything, train)
    tests = subset(everything, test) if len(test) else None
    own = subset(everything, validation) if len(validation) else None
    if own is not None:
        notes += (
            "Validation images are those that CelebA names, not a share of the training images.",
        )
    return split_dataset(
        "celeba", pool, tests, config, validation=own, label_names=label_names, notes=notes
    )


def _label(
    columns: Mapping[str, np.ndarray], wanted: str | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The attribute `wanted` as a label of two classes, int64 [N], and what these are called; there
    is none where none is wanted.

    Raises:
        UserError: when there is no such attribute.
    """
    if wanted is None:
        return None, ()
    if wanted not in attribute_names(columns):
        raise unknown("attribute of CelebA (data.label_column)", wanted, attribute_names(columns))
    has, names = columns[wanted].astype(np.int64), (f"not {wanted}", wanted)
    if (has >= 0).all():
        return has, names
    return np.where(has < 0, len(names), has), (*names, NO_LABEL)


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


def _beside(pictures: Path, name: str) -> Path | None:
    """The .txt of torchvision or the .csv of Kaggle that is so called and lies by the pictures."""
    folders = (pictures.parent, pictures.parent.parent)
    paths = (folder / f"{name}{kind}" for folder in folders for kind in (".txt", ".csv"))
    return next((path for path in paths if path.is_file()), None)


def _attributes(pictures: Path, files: Sequence[str], progress: Progress) -> dict[str, np.ndarray]:
    """The 40 attributes of each picture, int8 [N], by name; {} where no file tells.

    Raises:
        UserError: when the file that should tell is damaged.
    """
    path = _beside(pictures, "list_attr_celeba")
    if path is None:
        return {}
    progress(f"Reading {path.name}", None)
    try:
        data = read_whole(path)
        if path.suffix == ".txt":  # a count, then the names of the attributes, then the rows
            _, head, rows = data.split(b"\n", 2)
            data = re.sub(rb"[ \t]+", b",", b"image_id " + head.strip() + b"\n" + rows)
        rows_of = read_table("attributes.csv", data, lambda name: False).rows
        found = match(rows_of, Names(files), len(files))
        if found is None:
            raise NoTable("it names none of the pictures")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}. Try again.") from None
    except (Refused, NoTable, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}. Fetch the file again.") from None
    names = [name for name in rows_of.column_names if name != found.column]
    return {name: typed(found.values(rows_of, name)) for name in names}


def _partition(pictures: Path) -> dict[str, int] | None:
    """Which part each picture belongs to, by file name; None where no file tells.

    Raises:
        UserError: when the file that should tell is damaged.
    """
    path = _beside(pictures, "list_eval_partition")
    return None if path is None else _read_partition(path, " " if path.suffix == ".txt" else ",")


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
