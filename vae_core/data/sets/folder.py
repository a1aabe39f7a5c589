"""The person's own images: a folder or a .zip, folders in it becoming labels, or parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import subset
from vae_core.data.labels import folder_labels, shared_depth
from vae_core.data.prepare import prepare_files
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.listing import open_pictures
from vae_core.locations import data_folder, uploads_folder
from vae_core.progress import Progress

IMAGE_SIZE = 64

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PART_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""What a folder of this name stands for, in any case."""


@datasets.register(
    "folder",
    label="Your images",
    blurb="A folder or a .zip of your own; folders inside it become labels, train and test parts.",
    origin="own",
    image_shape=(0, IMAGE_SIZE, IMAGE_SIZE),
    order=60,
)
def load_folder(config: DataConfig, progress: Progress) -> Dataset:
    """The pictures that `data_dir` names, brought to one size; grey where all of them are grey.

    Folders named train, validation and test are the parts; labels are the folders below them.

    Raises:
        UserError: when there is no such place, it cannot be read, is an unsafe zip, or holds
            fewer than two pictures.
    """
    if not config.data_dir:
        raise UserError(
            "Name the folder or .zip with your images as the data folder.", shell="--data-dir"
        )
    path = data_folder(config.data_dir)
    target = Target(config.image_size or IMAGE_SIZE, config.resize, config.channels)
    from_outside = path.is_relative_to(uploads_folder())
    with open_pictures(path, progress, links=not from_outside, pages=config.pages) as listing:
        prepared = prepare_files("folder", listing, target, progress)
    names, notes = prepared.files, prepared.notes
    if prepared.images is None or len(names) < 2:
        found = "only one image" if names else "no images"
        raise UserError(
            f"There {'is' if names else 'are'} {found} in {path}; at least 2 are needed, one to "
            "learn from and one to measure on. " + " ".join(notes or ("Add some images.",))
        )
    own, seen = find_parts(listing.names)
    notes += seen
    pool, tests, validation = ImageSet(prepared.images, files=names), None, None
    if own is None:
        labels, label_names = folder_labels(names)
        pool = replace(pool, labels=labels)
    else:
        parts, label_names, seen = divided(pool, own.take(prepared.kept))
        notes += seen
        if TRAIN not in parts:
            raise UserError(
                f"None of the images in {path} that are to be learned from can be read."
            )
        pool, tests, validation = parts[TRAIN], parts.get(TEST), parts.get(VALIDATION)
    return split_dataset(
        "folder", pool, tests, config, validation=validation, label_names=label_names, notes=notes
    )


@dataclass(frozen=True)
class FolderParts:
    """Of N files the part that each belongs to, and its path below the folder of that part."""

    part_of: np.ndarray
    inside: tuple[str, ...]
    folders: tuple[str, ...]

    def take(self, kept: np.ndarray) -> FolderParts:
        """Those of the files `kept`, int64 [M]."""
        return replace(self, part_of=self.part_of[kept], inside=tuple(self.inside[i] for i in kept))


def find_parts(names: Sequence[str]) -> tuple[FolderParts | None, tuple[str, ...]]:
    """The parts that the folders of files are named after, or None; and a note on what was seen.

    They lie directly below what all files share, so that a .zip may wrap them in a folder. One of
    them is train, and nothing lies beside them: else each folder is a label, as anywhere.
    """
    tops = _tops(names)
    kinds = {PART_NAMES.get(top.lower()) for top in tops.values()}
    if TRAIN not in kinds or len(kinds - {None}) < 2:
        return None, ()
    called = sorted({top for top in tops.values() if top.lower() in PART_NAMES})
    others = sorted(set(tops.values()) - set(called))
    if others:
        listed = ", ".join(top or "images in no folder" for top in others[:5])
        return None, (
            f"{_listed(called)} lie beside others ({listed}), so all folders count as labels.",
        )
    folders = [name.rpartition("/")[0] for name in names]
    depth = shared_depth(tops)
    return FolderParts(
        np.array([PART_NAMES[tops[folder].lower()] for folder in folders], dtype=object),
        tuple("/".join(name.split("/")[depth + 1 :]) for name in names),
        tuple(called),
    ), ()


def _tops(names: Sequence[str]) -> dict[str, str]:
    """For each folder with files in it the first part of its path that not all of them share."""
    folders = dict.fromkeys(name.rpartition("/")[0] for name in names)
    depth = shared_depth(folders) if folders else 0
    return {folder: "/".join(folder.split("/")[depth : depth + 1]) for folder in folders}


def divided(
    everything: ImageSet, own: FolderParts
) -> tuple[dict[str, ImageSet], tuple[str, ...], tuple[str, ...]]:
    """The images of each part that has some, the names of their labels, and notes.

    Labels are the folders below those of the parts and go by their names: those of train first,
    then what is labelled elsewhere only. A part without folders has no labels.
    """
    rows = {name: np.flatnonzero(own.part_of == name) for name in (TRAIN, VALIDATION, TEST)}
    rows = {name: places for name, places in rows.items() if len(places)}
    counted = ", ".join(f"{len(places)} {name}" for name, places in rows.items())
    notes: tuple[str, ...] = (
        f"{_listed(own.folders)} name parts of the images, not labels: {counted}.",
    )
    parts = {name: subset(everything, places) for name, places in rows.items()}
    labelled = [name for name, places in rows.items() if any("/" in own.inside[i] for i in places)]
    if TRAIN not in labelled:
        return parts, (), notes
    labels, label_names = folder_labels([own.inside[i] for name in labelled for i in rows[name]])
    if labels is None:
        return parts, (), notes
    ends = np.cumsum([len(rows[name]) for name in labelled])[:-1]
    of_part = dict(zip(labelled, np.split(labels, ends), strict=True))
    order = np.array(list(dict.fromkeys([*np.unique(of_part[TRAIN]), *range(len(label_names))])))
    number = np.argsort(order)
    for name in labelled:
        parts[name] = replace(parts[name], labels=number[of_part[name]])
        lacking = np.setdiff1d(of_part[name], of_part[TRAIN])
        if len(lacking):
            listed = ", ".join(label_names[i] for i in lacking)
            notes += (f"The {name} images have labels that no training image has: {listed}.",)
    unlabelled = [name for name in rows if name not in labelled]
    if unlabelled:
        notes += (f"The images of {' and '.join(unlabelled)} lie in no folder and have no labels.",)
    return parts, tuple(label_names[i] for i in order), notes


def _listed(folders: Sequence[str]) -> str:
    *before, last = folders
    return f"The folders {', '.join(before)} and {last}"
