"""Folders named train, test and validation: parts that the images bring, not labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from vae_core.data.dataset import ImageSet
from vae_core.data.images import part
from vae_core.data.listing import labels_from

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PART_OF = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""What a folder of this name stands for, in any case."""


@dataclass(frozen=True)
class OwnParts:
    """Of N files the part that each belongs to, and its path below the folder of that part."""

    part_of: np.ndarray
    inside: tuple[str, ...]
    folders: tuple[str, ...]

    def take(self, kept: np.ndarray) -> OwnParts:
        """Those of the files `kept`, int64 [M]."""
        return replace(self, part_of=self.part_of[kept], inside=tuple(self.inside[i] for i in kept))


def own_parts(names: Sequence[str]) -> tuple[OwnParts | None, tuple[str, ...]]:
    """The parts that the folders of files are named after, or None; and a note on what was seen.

    They lie directly below what all files share, so that a .zip may wrap them in a folder. One of
    them is train, and nothing lies beside them: else each folder is a label, as anywhere.
    """
    tops = _tops(names)
    kinds = {PART_OF.get(top.lower()) for top in tops.values()}
    if TRAIN not in kinds or len(kinds - {None}) < 2:
        return None, ()
    called = sorted({top for top in tops.values() if top.lower() in PART_OF})
    strange = sorted({top for top in tops.values()} - set(called))
    if strange:
        beside = ", ".join(top or "images in no folder" for top in strange[:5])
        return None, (
            f"{_listed(called)} lie beside others ({beside}), so all folders count as labels.",
        )
    folders = [name.rpartition("/")[0] for name in names]
    depth = _shared(tops)
    return OwnParts(
        np.array([PART_OF[tops[folder].lower()] for folder in folders], dtype=object),
        tuple("/".join(name.split("/")[depth + 1 :]) for name in names),
        tuple(called),
    ), ()


def _shared(folders: Iterable[str]) -> int:
    """How many folders all have in common from the top."""
    parts = [tuple(filter(None, folder.split("/"))) for folder in folders]
    both = zip(min(parts), max(parts), strict=False)  # what these share, all in between share
    return len(list(takewhile(lambda pair: pair[0] == pair[1], both)))


def _tops(names: Sequence[str]) -> dict[str, str]:
    """For each folder with files in it the first part of its path that not all of them share."""
    folders = dict.fromkeys(name.rpartition("/")[0] for name in names)
    depth = _shared(folders) if folders else 0
    return {folder: "/".join(folder.split("/")[depth : depth + 1]) for folder in folders}


def divided(
    everything: ImageSet, own: OwnParts
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
    parts = {name: part(everything, places) for name, places in rows.items()}
    labelled = [name for name, places in rows.items() if any("/" in own.inside[i] for i in places)]
    if TRAIN not in labelled:
        return parts, (), notes
    labels, label_names = labels_from([own.inside[i] for name in labelled for i in rows[name]])
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
    bare = [name for name in rows if name not in labelled]
    if bare:
        notes += (f"The images of {' and '.join(bare)} lie in no folder and have no labels.",)
    return parts, tuple(label_names[i] for i in order), notes


def _listed(folders: Sequence[str]) -> str:
    *before, last = folders
    return f"The folders {', '.join(before)} and {last}"
