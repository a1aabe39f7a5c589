"""The parts of a run: which images it learned from and which it measured, as it recorded them.

The files of a data set come and go. A run keeps the hashes of its own images, and whatever it is
measured on later is picked by them: nothing that it has learned from is ever held out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vae_core.data.columns import joined
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.difference import Difference
from vae_core.data.hashes import match_rows
from vae_core.data.images import concatenate, subset
from vae_core.data.splits import subsample

PARTS = ("train", "validation", "test")
LEFT_OUT = "left_out"
NO_LABEL = -1


@dataclass(frozen=True)
class SplitRecord:
    """What a run keeps of its images, 8 bytes each and 2 for a label.

    hashes: of each part uint64 [N] in the order of training; `left_out` are those that a limit
        kept from being learned. labels: int64 [N] into `label_names`, −1 where there is none.
    former: of each part, what was in it until the run went on without it: should it come back,
        it is known to have been learned from, or measured on.
    """

    hashes: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    label_names: tuple[str, ...] = ()
    former: Mapping[str, np.ndarray] = field(default_factory=dict)

    def ever(self, name: str) -> np.ndarray:
        """The hashes of a part, and of what was once in it: uint64 [M]."""
        return np.concatenate([self.hashes[name], self.former.get(name, np.zeros(0, np.uint64))])

    def digest(self) -> dict[str, str]:
        """SHA-256 of the images of each part in their order, with the names of their labels."""
        return {name: self._digest(name) for name in PARTS}

    def _digest(self, name: str) -> str:
        known = [*self.label_names, ""]  # the last one stands for no label
        used, places = np.unique(self.labels[name], return_inverse=True)
        content = hashlib.sha256(self.hashes[name].astype("<u8").tobytes())
        content.update(json.dumps([known[label] for label in used]).encode())
        content.update(places.astype("<u4").tobytes())
        return content.hexdigest()

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        arrays = {name: np.ascontiguousarray(array) for name, array in self.hashes.items()}
        if self.label_names:
            kind = np.int16 if len(self.label_names) < 2**15 else np.int32
            arrays |= {f"{name}.labels": self.labels[name].astype(kind) for name in PARTS}
        arrays |= {f"{name}.former": each for name, each in self.former.items() if len(each)}
        return save(arrays, {"label_names": json.dumps(self.label_names)})

    @staticmethod
    def from_bytes(data: bytes) -> SplitRecord:
        """What `to_bytes` made.

        Raises:
            ValueError: when the file is damaged.
        """
        try:
            arrays = load(data)
            head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            hashes = {name: arrays[name] for name in (*PARTS, LEFT_OUT)}
            names = tuple(json.loads(head["__metadata__"]["label_names"]))
        except (SafetensorError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        none = {name: np.full(len(hashes[name]), NO_LABEL) for name in PARTS}
        labels = {name: arrays.get(f"{name}.labels", none[name]).astype(np.int64) for name in PARTS}
        former = {name: arrays[f"{name}.former"] for name in PARTS if f"{name}.former" in arrays}
        stored = (*hashes.values(), *former.values())
        if any(each.dtype != np.uint64 or each.ndim != 1 for each in stored):
            raise ValueError("what should be hashes of images is none")
        for name, each in labels.items():
            within = not len(each) or -1 <= each.min() <= each.max() < max(1, len(names))
            if each.shape != hashes[name].shape or not within:
                raise ValueError(f"the labels of the {name} images do not fit")
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a label name is no text")
        return SplitRecord(hashes, labels, names, former)


def record_splits(dataset: Dataset, before: SplitRecord | None = None) -> SplitRecord:
    """What a run keeps of the images that it is trained on; `before` is what it kept until now."""
    parts, none = dataset.parts, np.zeros(0, np.uint64)
    hashes = {name: parts[name].known_hashes if name in parts else none for name in PARTS}
    # Where nothing can be new, what was left out need not be known.
    hashes[LEFT_OUT] = none if dataset.fixed else dataset.left_out
    labels = {
        name: _labels(parts[name]) if name in parts else np.zeros(0, np.int64) for name in PARTS
    }
    former = {}
    if before is not None:
        former = {name: np.setdiff1d(before.ever(name), hashes[name]) for name in PARTS}
    return SplitRecord(hashes, labels, dataset.label_names, former)


def restore_splits(dataset: Dataset, recorded: SplitRecord) -> Dataset:
    """The images of `dataset` in the parts that a run recorded, in its order, as far as they are
    there; `difference` tells what is not as it was. New images belong to no part.

    Args:
        dataset: every image that there is now, labels numbered as in `recorded`.
    """
    return _Matched.of(dataset, recorded).parts(recorded.hashes[LEFT_OUT])


def extend_splits(dataset: Dataset, recorded: SplitRecord, limit: int | None) -> Dataset:
    """As `restore_splits`, and new images come after those of the run: each into the part that
    holds a copy of it, else into the one that the split gives it.

    So nothing that was measured on is ever learned from, nor the other way round. `limit`: how
    many are learned from in all.
    """
    found = _Matched.of(dataset, recorded)
    hashes, labels = found.whole.known_hashes, _labels(found.whole)
    part_of = {int(h): i for i, name in enumerate(PARTS) for h in recorded.ever(name)}
    to = [part_of.get(int(hashes[row]), int(found.origin[row])) for row in found.new]
    added = [found.new[np.array(to, np.int64) == i] for i in range(len(PARTS))]
    room = None if limit is None else max(0, limit - len(found.rows[0]))
    taken = subsample(hashes[added[0]], labels[added[0]], room)
    left_out = np.append(recorded.hashes[LEFT_OUT], np.delete(hashes[added[0]], taken))
    added[0] = added[0][taken]
    rows = [np.concatenate(pair) for pair in zip(found.rows, added, strict=True)]
    return replace(found, rows=rows).parts(left_out)


def without_newcomers(recorded: SplitRecord, dataset: Dataset) -> SplitRecord:
    """A record for which nothing in `dataset` is new: what is not its own was not chosen."""
    there = np.concatenate([part.known_hashes for part in dataset.parts.values()])
    own = np.concatenate([recorded.ever(name) for name in PARTS])
    return replace(recorded, hashes={**recorded.hashes, LEFT_OUT: np.setdiff1d(there, own)})


@dataclass(frozen=True)
class _Matched:
    """Where the images that a run recorded lie among those that there are now.

    whole: every image there is; origin: int64 [M], the part that the split gives each.
    rows: of each part, the places in `whole` of what is still there. new: places of the rest.
    """

    dataset: Dataset
    whole: ImageSet
    origin: np.ndarray
    rows: list[np.ndarray]
    new: np.ndarray
    difference: Difference

    @staticmethod
    def of(dataset: Dataset, recorded: SplitRecord) -> _Matched:
        sets = list(dataset.parts.values())
        whole = whole_of(sets)
        hashes, labels = whole.known_hashes, _labels(whole)
        wanted = np.concatenate([recorded.hashes[name] for name in PARTS])
        named_as = np.concatenate([recorded.labels[name] for name in PARTS])
        belongs = np.repeat(np.arange(len(PARTS)), [len(recorded.hashes[name]) for name in PARTS])
        rows = match_rows(wanted, named_as, hashes, labels)
        there = rows >= 0
        unknown = ~np.isin(hashes, recorded.hashes[LEFT_OUT])
        unknown[rows[there]] = False
        new = np.flatnonzero(unknown & (not dataset.fixed))

        def of_each(mask: np.ndarray) -> dict[str, int]:
            counts = np.bincount(belongs[mask], minlength=len(PARTS))
            return dict(zip(PARTS, map(int, counts), strict=True))

        changed = there & (labels[rows] != named_as)
        everyone = np.ones(len(wanted), bool)
        return _Matched(
            dataset,
            whole,
            np.repeat(np.arange(len(sets)), [len(each) for each in sets]),
            [rows[(belongs == i) & there] for i in range(len(PARTS))],
            new,
            Difference(of_each(everyone), of_each(~there), of_each(changed), len(new)),
        )

    def parts(self, left_out: np.ndarray) -> Dataset:
        """The data set with these rows for its parts."""
        train, validation, test = (
            _without_empty_labels(subset(self.whole, rows)) for rows in self.rows
        )
        return replace(
            self.dataset,
            train=train,
            validation=validation,
            test=test if len(test) else None,
            left_out=left_out,
            difference=self.difference or None,
        )


def _without_empty_labels(image_set: ImageSet) -> ImageSet:
    """A part of which no image has a label has none, though others have, such as test images."""
    unlabelled = image_set.labels is not None and (image_set.labels == NO_LABEL).all()
    return replace(image_set, labels=None) if unlabelled and len(image_set) else image_set


def unseen(image_set: ImageSet, recorded: SplitRecord) -> ImageSet:
    """Those images of `image_set` that are in no part of a run, and never were."""
    seen = np.isin(image_set.known_hashes, np.concatenate([recorded.ever(name) for name in PARTS]))
    return subset(image_set, np.flatnonzero(~seen)) if seen.any() else image_set


def whole_of(sets: list[ImageSet]) -> ImageSet:
    """All images of several parts, one part after the other."""
    first = sets[0]
    factors = None
    if first.factors is not None:
        factors = np.concatenate([each.factors for each in sets if each.factors is not None])
    return ImageSet(
        concatenate([each.images for each in sets]),
        None if first.labels is None else np.concatenate([_labels(each) for each in sets]),
        factors,
        tuple(name for each in sets for name in each.files),
        np.concatenate([each.known_hashes for each in sets]),
        _boxes(sets),
        joined((each.columns, len(each)) for each in sets),
    )


def _boxes(sets: list[ImageSet]) -> np.ndarray | None:
    boxes = [each.boxes for each in sets if each.boxes is not None]
    return np.concatenate(boxes) if len(boxes) == len(sets) else None


def _labels(image_set: ImageSet) -> np.ndarray:
    return np.full(len(image_set), NO_LABEL) if image_set.labels is None else image_set.labels
