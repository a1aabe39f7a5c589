"""The person's own images: a folder, an archive or a file, folders becoming labels, or parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.described import describe, said_of, without
from vae_core.data.hashes import content_hashes
from vae_core.data.images import subset
from vae_core.data.labels import NO_LABEL, folder_texts, shared_depth
from vae_core.data.meanings import (
    FOLDER,
    PART_NAMES,
    TEST,
    TRAIN,
    VALIDATION,
    Meanings,
    natural_order,
)
from vae_core.data.prepare import prepare_files
from vae_core.data.remote import brought_here
from vae_core.data.shaping import flatness_notes, require_difference, require_shown, shaped
from vae_core.data.source import datasets
from vae_core.data.splits import split_dataset
from vae_core.errors import UserError
from vae_core.imaging.kinds import Format, kind_of
from vae_core.imaging.listing import Listing, Pages
from vae_core.imaging.walk import open_pictures
from vae_core.locations import is_address, uploads_folder
from vae_core.progress import Progress
from vae_core.units import grouped

IMAGE_SIZE = 64

_PIECE = re.compile(r"([-_]\d+(-of-\d+)?)$")
"""How pieces of one part are told apart."""


@datasets.register(
    "folder",
    label="Your images",
    blurb="A folder, archive or file of images; folders become labels, train and test parts.",
    origin="own",
    image_shape=(0, IMAGE_SIZE, IMAGE_SIZE),
    order=60,
)
def load_folder(config: DataConfig, progress: Progress) -> Dataset:
    """The pictures that `data_dir` names, brought to one size; grey where all of them are grey.

    Folders named train, validation and test are the parts; labels are the folders below them. A
    table beside the pictures may say more of each, see `vae_core.data.meanings`.

    Raises:
        UserError: when there is no such place, it cannot be read, is an unsafe zip, or holds
            fewer than two pictures.
    """
    if not config.data_dir:
        raise UserError(
            "Name the folder or file with your images as the data folder.", shell="--data-dir"
        )
    path: Path | str = config.data_dir
    with (
        brought_here(config.data_dir, progress) as here,
        open_images(here, progress, config.pages) as listing,
    ):
        path = path if is_address(config.data_dir) else here
        said = said_of(listing, progress)
        pictures = without(listing, said.used)
        shaping = shaped(config, pictures, progress)
        prepared = prepare_files("folder", pictures, shaping.target, progress)
    names, notes = prepared.files, prepared.notes + shaping.notes
    if prepared.images is None or len(names) < 2:
        found = "only one image" if names else "no images"
        raise UserError(
            f"There {'is' if names else 'are'} {found} in {path}; at least 2 are needed, one to "
            "learn from and one to measure on. " + " ".join(notes or ("Add some images.",))
        )
    config = shaping.config
    if config.windowed != "file":
        require_difference(content_hashes(prepared.images), shaping)
        notes += flatness_notes(prepared.images, names, config)
    own, seen = find_parts(listing.names)
    own = own and own.take(prepared.kept)
    notes += (*said.notes, *seen)
    folders = folder_texts(names) if own is None else own.labels()
    known = describe(said.take(prepared.kept), folders, config.label_column)
    boxes = prepared.boxes if config.mask_padding else None
    everything = ImageSet(prepared.images, files=names, boxes=boxes, columns=known.columns)
    parts, label_names, seen = divided(everything, known, own)
    if TRAIN not in parts:
        raise UserError(f"None of the images in {path} that are to be learned from can be read.")
    dataset = split_dataset(
        "folder",
        parts[TRAIN],
        parts.get(TEST),
        config,
        validation=parts.get(VALIDATION),
        label_names=label_names,
        notes=(*notes, *seen),
    )
    channels = config.channels or dataset.image_shape[0]
    require_shown(config, channels)
    resolved = (dataset.resolved or config).model_copy(update={"channels": channels})
    return replace(dataset, resolved=resolved, choices=(*shaping.choices, *dataset.choices))


def open_images(
    path: Path, progress: Progress, pages: Pages = "all"
) -> AbstractContextManager[Listing]:
    """The pictures in a folder, an archive or a file, which can be read inside the `with` block.

    Raises:
        UserError: as `open_pictures`.
    """
    from_outside = path.is_relative_to(uploads_folder())
    return open_pictures(path, progress, links=not from_outside, pages=pages)


@dataclass(frozen=True)
class FolderParts:
    """Of N files the part that each belongs to, and its path below the folder of that part."""

    part_of: np.ndarray
    inside: tuple[str, ...]
    folders: tuple[str, ...]

    def take(self, kept: np.ndarray) -> FolderParts:
        """Those of the files `kept`, int64 [M]."""
        return replace(self, part_of=self.part_of[kept], inside=tuple(self.inside[i] for i in kept))

    def labels(self) -> np.ndarray | None:
        """What the folders below those of the parts are called; None of the files of a part without
        any, and None as a whole where train has none, or all have the same."""
        has_folders = np.array(["/" in name for name in self.inside])
        labelled = np.isin(self.part_of, np.unique(self.part_of[has_folders].astype(str)))
        if not labelled[self.part_of == TRAIN].any():
            return None
        found = folder_texts(
            [name for name, is_labelled in zip(self.inside, labelled, strict=True) if is_labelled]
        )
        if found is None:
            return None
        texts = np.full(len(self.inside), None, "O")
        texts[labelled] = found
        return texts


def find_parts(names: Sequence[str]) -> tuple[FolderParts | None, tuple[str, ...]]:
    """The parts that the folders of files are named after, or None; and a note on what was seen.

    They lie directly below what all files share, so that a .zip may wrap them in a folder. One of
    them is train, and nothing lies beside them: else each folder is a label, as anywhere. Archives
    and files of several pictures are folders here: `train.zip`, `val-00001.tar`, `test.parquet`.
    """
    places = [place_of(name) for name in names]
    tops = _tops(places)
    part = {top: part_named(top) for top in set(tops.values())}
    if TRAIN not in part.values() or len({*part.values()} - {None}) < 2:
        return None, ()
    called = sorted(top for top, named in part.items() if named is not None)
    others = sorted(top for top, named in part.items() if named is None)
    if others:
        listed = ", ".join(top or "images in no folder" for top in others[:5])
        return None, (
            f"{_listed(called)} lie beside others ({listed}), so all folders count as labels.",
        )
    depth = shared_depth(tops)
    return FolderParts(
        np.array([part[tops[place.rpartition("/")[0]]] for place in places], dtype=object),
        tuple("/".join(place.split("/")[depth + 1 :]) for place in places),
        tuple(called),
    ), ()


def place_of(name: str) -> str:
    """The path of a picture, with a file of several as the folder that it lies in: `a.tif#07` is
    `a.tif/07`."""
    file, mark, page = name.rpartition("#")
    return f"{file}/{page}" if mark and isinstance(kind_of(file), Format) else name


def part_named(folder: str) -> str | None:
    """The part that a folder is called after, None for any other name. What is packed may be one
    piece of several: `train-00000-of-00002.parquet`, `val_07.tar.gz`."""
    if kind_of(folder) is not None:
        folder = _PIECE.sub("", folder.partition(".")[0])
    return PART_NAMES.get(folder.lower())


def _tops(names: Sequence[str]) -> dict[str, str]:
    """For each folder with files in it the first part of its path that not all of them share."""
    folders = dict.fromkeys(name.rpartition("/")[0] for name in names)
    depth = shared_depth(folders) if folders else 0
    return {folder: "/".join(folder.split("/")[depth : depth + 1]) for folder in folders}


def divided(
    everything: ImageSet, known: Meanings, own: FolderParts | None
) -> tuple[dict[str, ImageSet], tuple[str, ...], tuple[str, ...]]:
    """The images of each part that has some, the names of their labels, and notes.

    A table says of each image which part it belongs to, else its folder does, else it is learned
    from. Labels go by their names: those of train first, then what is labelled elsewhere only. A
    part of which no image has one has no labels.
    """
    part_of = np.full(len(everything), TRAIN, "O") if own is None else own.part_of
    if known.parts is not None:
        part_of = np.where(known.parts == None, part_of, known.parts)  # noqa: E711
    rows = {name: np.flatnonzero(part_of == name) for name in (TRAIN, VALIDATION, TEST)}
    rows = {name: places for name, places in rows.items() if len(places)}
    notes = tuple(_part_notes(rows, known, own))
    parts = {name: subset(everything, places) for name, places in rows.items()}
    if known.labels is None or TRAIN not in rows:
        return parts, (), (*notes, *_label_notes(known, ()))
    texts = {name: known.labels[places] for name, places in rows.items()}
    labelled = {name: _named(each) for name, each in texts.items() if any(each)}
    if TRAIN not in labelled:
        return parts, (), (*notes, *_label_notes(known, ()))
    sort = sorted if known.label_column == FOLDER else natural_order
    every = [sort(set(each)) for each in labelled.values()]  # those of train come first
    label_names = tuple(dict.fromkeys(chain.from_iterable(every)))
    number = {label: i for i, label in enumerate(label_names)}
    for name, each in labelled.items():
        labels = np.fromiter((number[text] for text in each), np.int64, len(each))
        parts[name] = replace(parts[name], labels=labels)
        lacking = [label for label in sort(set(each)) if label not in set(every[0])]
        if lacking:
            more = f" and {len(lacking) - 12} more" if lacking[12:] else ""
            listed = ", ".join(lacking[:12]) + more
            notes += (f"The {name} images have labels that no training image has: {listed}.",)
    unlabelled = [name for name in rows if name not in labelled]
    if unlabelled:
        why = "lie in no folder and have" if known.label_column == FOLDER else "have"
        notes += (f"The images of {' and '.join(unlabelled)} {why} no labels.",)
    return parts, label_names, (*notes, *_label_notes(known, label_names))


def _named(texts: np.ndarray) -> list[str]:
    return [text or NO_LABEL for text in texts]


def _part_notes(
    rows: Mapping[str, np.ndarray], known: Meanings, own: FolderParts | None
) -> Iterator[str]:
    counted = ", ".join(f"{len(places)} {name}" for name, places in rows.items())
    if known.parts is not None:
        yield f"The column “{known.part_column}” names parts of the images: {counted}."
    elif own is not None:
        yield f"{_listed(own.folders)} name parts of the images, not labels: {counted}."


def _label_notes(known: Meanings, label_names: Sequence[str]) -> Iterator[str]:
    """Where labels and columns come from, if it is from more than folders."""
    if label_names and known.label_column != FOLDER:
        none = ""
        if NO_LABEL in label_names and known.labels is not None:
            count = sum(not text for text in known.labels)
            of_all = f"{grouped(count)} of {grouped(len(known.labels))} images"
            none = f", and {of_all} have none, which is “{NO_LABEL}”"
        yield f"Labels are those of “{known.label_column}”: {len(label_names)} of them{none}."
    if known.columns:
        shown = [f"“{name}”" for name in list(known.columns)[:12]]
        more = len(known.columns) - len(shown)
        by_folder = known.label_column == FOLDER
        hint = "; “Label column” makes one of them the label" * by_folder
        listed = f"{', '.join(shown)}{f' and {more} more' * bool(more)}"
        yield f"Also known of the images: {listed}{hint}."
    if known.notes:
        first, *rest = known.notes
        yield "; ".join([first[:1].upper() + first[1:], *rest]) + "."


def _listed(folders: Sequence[str]) -> str:
    what = "folders" if all(kind_of(each) is None for each in folders) else "files"
    *before, last = folders if len(folders) <= 6 else [*folders[:5], f"{len(folders) - 5} more"]
    return f"The {what} {', '.join(before)} and {last}"
