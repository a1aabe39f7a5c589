"""A label is what it is called: numbers that a run knows it by, whatever lies beside it now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.listing import labels_among


def named(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """`dataset` with its labels numbered as in `names`: a label is what it is called.

    Names that are not among them follow after.
    """
    if dataset.label_names[: len(names)] == names:
        return dataset
    if not dataset.label_names:
        return _named_by_folder(dataset, names)
    called = [_called(dataset, label, names) for label in range(len(dataset.label_names))]
    known = (*names, *dict.fromkeys(name for name in called if name not in names))
    number = np.array([known.index(name) for name in called], np.int64)
    return _relabelled(
        dataset, known, lambda each: None if each.labels is None else number[each.labels]
    )


def _called(dataset: Dataset, label: int, names: Sequence[str]) -> str:
    """What `names` call a label of `dataset`: the same, else as the folder of its files ends, for
    a folder's name grows or shrinks with the others beside it."""
    own = dataset.label_names[label]
    if own in names:
        return own
    for each in _parts(dataset):
        if each.labels is not None and each.files and (each.labels == label).any():
            found = labels_among([each.files[int(np.argmax(each.labels == label))]], names)
            return own if found is None else names[found[0]]
    return own


def _named_by_folder(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Where one folder is left of those that labelled the images, it labels them still."""
    parts = [each for each in _parts(dataset) if len(each)]
    told = [labels_among(each.files, names) if each.files else None for each in parts]
    if any(labels is None for labels in told):
        return dataset
    return _relabelled(dataset, names, lambda each: labels_among(each.files, names))


def _parts(dataset: Dataset) -> list[ImageSet]:
    return [dataset.train, dataset.validation, *([dataset.test] if dataset.test else [])]


def _relabelled(
    dataset: Dataset, names: tuple[str, ...], labels: Callable[[ImageSet], np.ndarray | None]
) -> Dataset:
    def again(each: ImageSet) -> ImageSet:
        return replace(each, labels=labels(each))

    return replace(
        dataset,
        train=again(dataset.train),
        validation=again(dataset.validation),
        test=dataset.test and again(dataset.test),
        label_names=names,
    )
