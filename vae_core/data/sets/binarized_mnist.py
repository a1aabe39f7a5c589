"""MNIST in black and white in the fixed draws that published likelihoods are of: text files of
zeros and ones, one image a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.hashes import content_hashes
from vae_core.data.images import ArrayImages
from vae_core.data.prepare import prepare_array
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.reading import Refused, read_whole, reason_of
from vae_core.locations import data_folder
from vae_core.progress import Progress

NAME, SIDE = "binarized_mnist", 28
PARTS = ("train", "valid", "test")
COUNTS = (50_000, 10_000, 10_000)
"""Images of each part as they were published."""

WHERE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"

MOST_BYTES = 500_000_000
"""Of a file: the largest of the published ones has 78 MB."""


@datasets.register(
    NAME,
    label="MNIST, binarised",
    blurb="Larochelle's fixed black and white draws, without labels. Fetch them into the data "
    "folder.",
    origin="files",
    image_shape=(1, SIDE, SIDE),
    order=11,
    paper="Salakhutdinov and Murray 2008; files of Larochelle and Murray 2011",
    subject="handwritten digits in black and white",
)
def load_binarized_mnist(config: DataConfig, progress: Progress) -> Dataset:
    """The three parts as the files have them: 50 000, 10 000 and 10 000 images.

    Raises:
        UserError: when the files are not there, or hold something else.
    """
    folder = folder_in(data_folder(config.data_dir))
    shape = datasets[NAME].shape_for(config)
    parts: list[ImageSet] = []
    for part in PARTS:
        progress(f"Reading {file_name(part)}", len(parts) / len(PARTS))
        pixels = _read(folder / file_name(part))
        images = prepare_array(NAME, pixels, shape, progress)
        # Of the images as they come, so that the parts are the same at every size.
        parts.append(ImageSet(images, hashes=content_hashes(ArrayImages(pixels))))
    pool, validation, test = parts
    counts = tuple(map(len, parts))
    notes: tuple[str, ...] = ()
    if counts != COUNTS:
        notes = (f"There are {_said(counts)} images in {folder}; published are {_said(COUNTS)}.",)
    return split_dataset(NAME, pool, test, config, validation=validation, fixed=True, notes=notes)


def file_name(part: str) -> str:
    """What the file of a part is called."""
    return f"{NAME}_{part}.amat"


def read_amat(data: bytes) -> np.ndarray:
    """Images out of lines of zeros and ones with blanks between: uint8 [N, 1, 28, 28], 0 and 255.

    Raises:
        ValueError: when there is anything else; the message says what.
    """
    signs = np.frombuffer(data, np.uint8)
    is_digit = (signs == ord("0")) | (signs == ord("1"))
    is_blank = np.isin(signs, np.frombuffer(b" \t\r\n", np.uint8))
    if not (is_digit | is_blank).all():
        raise ValueError("it holds other signs than 0, 1 and blanks")
    if (is_digit[1:] & is_digit[:-1]).any():
        raise ValueError("it holds other numbers than 0 and 1")
    values = signs[is_digit] - np.uint8(ord("0"))
    if not len(values) or len(values) % SIDE**2:
        raise ValueError(f"its {len(values)} numbers are no images of {SIDE}×{SIDE}")
    return (values * np.uint8(255)).reshape(-1, 1, SIDE, SIDE)


def folder_in(named: Path) -> Path:
    """Where the files lie: in the folder named, or in one below it that is called like them.

    Raises:
        UserError: where they are in neither.
    """
    for folder in (named, named / NAME):
        if all((folder / file_name(part)).is_file() for part in PARTS):
            return folder
    raise UserError(
        f"{', '.join(map(file_name, PARTS))} are not all in {named} or in its folder {NAME}. Fetch "
        f"them from {WHERE}, or take mnist with data.binarise set to static."
    )


def _read(path: Path) -> np.ndarray:
    try:
        return read_amat(read_whole(path, MOST_BYTES))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}.") from error
    except (Refused, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}. Fetch it again from {WHERE}.") from error


def _said(counts: tuple[int, ...]) -> str:
    return f"{counts[0]} training, {counts[1]} validation and {counts[2]} test"
