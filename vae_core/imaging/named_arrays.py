"""Arrays that lie in one file under names: which are pictures, which are labels, which parts.

MedMNIST has `train_images` and `train_labels`, Keras `x_train` and `y_train`; others have
`train/images` or plain `images` and `labels`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.numbers import Layout, layout_of, require_picture

LEAST_SIDE = 8
"""Pixels: what is smaller is a table of numbers."""

_PICTURES = {"images", "image", "x", "data", "imgs", "img", "pixels", "arr"}
_LABELS = {"labels", "label", "y", "targets", "target", "classes"}
_PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class NamedArray:
    """An array of pictures in a file of several.

    folder: what stands before the numbers of its pictures; "" where it is the only one.
    labels: the name of the array with its labels, "" where there is none.
    """

    name: str
    layout: Layout
    folder: str
    labels: str


def pictures_among(shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> list[NamedArray]:
    """Which arrays hold pictures.

    An array with three dimensions or more is one; with two only where no other is.

    Args:
        shapes: of each array its shape, and the kind and the bytes of its numbers, as in "u1".

    Raises:
        NotAnImage: when none does; it names what there is.
    """
    found: dict[str, Layout] = {}
    for least in (3, 2):
        for name, (shape, numbers) in shapes.items():
            told = len(shape) < least or _words(name) & _LABELS
            layout = None if told else _layout(shape, numbers)
            if layout is not None:
                found[name] = layout
        if found:
            break
    if not found:
        listed = ", ".join(f"{name} {list(shape)}" for name, (shape, _) in list(shapes.items())[:5])
        raise NotAnImage(f"no array of pictures in it ({listed or 'it is empty'})")
    labels = {_key(name): name for name in shapes if _words(name) & _LABELS}
    return [
        NamedArray(name, layout, _folder(name, len(found) > 1), labels.get(_key(name), ""))
        for name, layout in found.items()
    ]


def _layout(shape: tuple[int, ...], numbers: str) -> Layout | None:
    if numbers[:1] not in tuple("buif"):
        return None
    try:
        layout = layout_of(shape)
        require_picture(*layout.shape, int(numbers[1:]))
    except NotAnImage:
        return None
    return layout if min(layout.shape[:2]) >= LEAST_SIDE else None


def _folder(name: str, several: bool) -> str:
    """`x_train` is train: a folder of that name is a part of the data set."""
    part = next((_PARTS[word] for word in _split(name) if word in _PARTS), "")
    rest = "_".join(w for w in _split(name) if w not in _PARTS and w not in _PICTURES)
    return "/".join(filter(None, [part, rest])) if part else name.strip("/") if several else ""


def _key(name: str) -> tuple[str, ...]:
    """What the names of pictures and of their labels have in common."""
    return tuple(w for w in _split(name) if w not in _LABELS and w not in _PICTURES)


def _words(name: str) -> set[str]:
    return set(_split(name))


def _split(name: str) -> list[str]:
    return [word for word in re.split(r"[/_.\-\s]+", name.lower()) if word]
