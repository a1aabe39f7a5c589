"""What files say of their pictures in columns: labels as text, and further columns, bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_core.imaging.kinds import Cell, Contents

MOST_COLUMNS = 64
LONGEST = 200
"""Characters of a text that is kept."""


def as_labels(values: np.ndarray) -> tuple[str, ...] | None:
    """Labels as texts, of whole numbers or texts [N]; None of anything else."""
    if values.dtype.kind in "bui":
        return tuple(str(int(each)) for each in values.tolist())
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values % 1 == 0).all():
        return tuple(str(int(each)) for each in values.tolist())
    if values.dtype.kind in "US":
        return tuple(as_text(each) for each in values.tolist())
    return None


def as_cell(value: Any) -> Cell:
    """A number or a short text; None of anything else, and of what is no number."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, int | float | np.integer | np.floating):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return as_text(value) if isinstance(value, str | bytes) else None


def as_text(value: str | bytes) -> str:
    """One line of at most `LONGEST` characters that is valid text."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    line = " ".join(text[: 4 * LONGEST].split())[:LONGEST]
    return line.encode("utf-8", "replace").decode("utf-8")


def contents_of(
    arrays: Sequence[tuple[str, int]], labels: Sequence[tuple[str, ...] | None]
) -> Contents:
    """The contents of a file with several arrays.

    Args:
        arrays: the folder and the number of pictures of each.
        labels: of each, None where it has none.
    """
    count = sum(number for _, number in arrays)
    names: list[str] = []
    if any(folder for folder, _ in arrays):
        for folder, number in arrays:
            width = len(str(number))
            names += [f"{folder}/{i + 1:0{width}d}".lstrip("/") for i in range(number)]
    every: tuple[str, ...] | None = None
    if any(each is not None for each in labels):
        every = tuple(
            label
            for (_, number), each in zip(arrays, labels, strict=True)
            for label in (each or ("",) * number)
        )
    return Contents(count, tuple(names), every)


def joined(rows: Mapping[int, Mapping[str, Cell]], count: int) -> dict[str, tuple[Cell, ...]]:
    """Columns of `count` cells out of what is said of some rows, the first `MOST_COLUMNS`."""
    names: dict[str, None] = {}
    for row in rows.values():
        names.update(dict.fromkeys(row))
        if len(names) > MOST_COLUMNS:
            break
    kept = list(names)[:MOST_COLUMNS]
    return {name: tuple(rows.get(i, {}).get(name) for i in range(count)) for name in kept}
