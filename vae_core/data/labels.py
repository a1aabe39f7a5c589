"""Labels: read off the folders that files lie in, and numbered as a run numbered them.

A label is what it is called: the numbers that a run knows it by stay, whatever lies beside it now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np

from vae_core.data.dataset import Dataset, ImageSet
from vae_core.imaging.kinds import folders_of

NO_FOLDER = "(no folder)"
"""Label of pictures that lie beside the folders that label the others."""

NO_LABEL = "(no label)"
"""Label of pictures of which a table says nothing that labels others."""


def shared_depth(folders: Iterable[str]) -> int:
    """How many folders all paths have in common from the top."""
    parts = [tuple(filter(None, folder.split("/"))) for folder in folders]
    both = zip(min(parts), max(parts), strict=False)  # what these share, all in between share
    return len(list(takewhile(lambda pair: pair[0] == pair[1], both)))


def folder_texts(names: Sequence[str]) -> np.ndarray | None:
    """What the folder of each file is called: str [N] in an object array.

    A .zip among the files is a folder of its name; shards, such as a .tar, are none. Folders that
    all files share say nothing and are left out. None where fewer than two remain.
    """
    numbers: dict[str, int] = {}  # of the few folders, not of the many files
    which = (numbers.setdefault(name.rpartition("/")[0], len(numbers)) for name in names)
    folder_of = np.fromiter(which, np.int64, len(names))
    paths = [folders_of(f"{each}/") for each in numbers]
    depth = shared_depth("/".join(path) for path in paths)
    folders = ["/".join(path[depth:]) or NO_FOLDER for path in paths]
    return None if len(set(folders)) < 2 else np.array(folders, "O")[folder_of]


def folder_labels(names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels int64 [N] from the folders in which files lie, and their names; (None, ()) where fewer
    than two folders tell them apart."""
    texts = folder_texts(names)
    if texts is None:
        return None, ()
    label_names, labels = np.unique(texts, return_inverse=True)
    return labels.astype(np.int64), tuple(map(str, label_names))


def numbered(texts: np.ndarray, known: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels int64 [N] from their names [N], None where there is none, and the names that they
    number: those of `known` first, then the others."""
    named = [text or NO_LABEL for text in texts]
    names = (*known, *sorted(set(named) - set(known)))
    number = {name: i for i, name in enumerate(names)}
    return np.fromiter((number[name] for name in named), np.int64, len(named)), names


def known_folder_labels(names: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    """Labels int64 [N] into `known` of files, each by the folders that it lies in; None where one
    lies in no such folder. For files of which a single folder is left, which `folder_texts` leaves
    unlabelled."""
    number = {label: i for i, label in enumerate(known)}
    found = []
    for name in names:
        folders = folders_of(name)
        tails = ("/".join(folders[i:]) for i in range(len(folders)))
        label = next((number[tail] for tail in tails if tail in number), None)
        if label is None:
            return None
        found.append(label)
    return np.array(found, np.int64)


def renumbered(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """`dataset` with its labels numbered as in `names`: a label is what it is called.

    Names that are not among them follow after.
    """
    if dataset.label_names[: len(names)] == names:
        return dataset
    if not dataset.label_names:
        return _relabelled_by_folder(dataset, names)
    called = [_known_name(dataset, label, names) for label in range(len(dataset.label_names))]
    known = (*names, *dict.fromkeys(name for name in called if name not in names))
    number = np.array([known.index(name) for name in called], np.int64)
    return _relabelled(
        dataset, known, lambda each: None if each.labels is None else number[each.labels]
    )


def _known_name(dataset: Dataset, label: int, names: Sequence[str]) -> str:
    """What `names` call a label of `dataset`: the same, else as the folder of its files ends, for
    a folder's name grows or shrinks with the others beside it."""
    own = dataset.label_names[label]
    if own in names:
        return own
    for each in dataset.parts.values():
        if each.labels is not None and each.files and (each.labels == label).any():
            found = known_folder_labels([each.files[int(np.argmax(each.labels == label))]], names)
            return own if found is None else names[found[0]]
    return own


def _relabelled_by_folder(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Where one folder is left of those that labelled the images, it labels them still."""
    parts = [each for each in dataset.parts.values() if len(each)]
    found = [known_folder_labels(each.files, names) if each.files else None for each in parts]
    if any(labels is None for labels in found):
        return dataset
    return _relabelled(dataset, names, lambda each: known_folder_labels(each.files, names))


def _relabelled(
    dataset: Dataset, names: tuple[str, ...], labels: Callable[[ImageSet], np.ndarray | None]
) -> Dataset:
    parts: dict[str, Any] = {
        name: replace(part, labels=labels(part)) for name, part in dataset.parts.items()
    }
    return replace(dataset, **parts, label_names=names)
