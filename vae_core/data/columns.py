"""What is known of images beside their label: columns by name, one value an image.

The type of an array says what its values are:

- numbers: float64, NaN where none is known;
- dates: datetime64[s] in UTC, NaT where none is known;
- attributes: int8, 1 where the image has it, 0 where it has not, −1 where that is not known;
- texts: str in an object array, "" where none is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

Columns = Mapping[str, np.ndarray]
Kind = Literal["number", "date", "attribute", "text"]

KINDS: dict[str, Kind] = {"f": "number", "M": "date", "i": "attribute", "O": "text"}
DTYPES: dict[Kind, str] = {"number": "f8", "date": "M8[s]", "attribute": "i1", "text": "O"}
_NOT_KNOWN: dict[Kind, Any] = {
    "number": np.nan, "date": np.datetime64("NaT"), "attribute": -1, "text": "",
}  # fmt: skip


def kind_of(column: np.ndarray) -> Kind:
    """What the values of a column are."""
    return KINDS[column.dtype.kind]


def known(column: np.ndarray) -> np.ndarray:
    """Where a column has a value: bool [N]."""
    match kind_of(column):
        case "number":
            return ~np.isnan(column)
        case "date":
            return ~np.isnat(column)
        case "attribute":
            return np.asarray(column >= 0)
        case "text":
            return np.asarray(column != "", bool)


def as_numbers(column: np.ndarray) -> np.ndarray:
    """Numbers, dates or attributes as float64 [N], NaN where not known; dates in seconds since
    1970.

    Raises:
        TypeError: for texts, which have no order.
    """
    if kind_of(column) == "text":
        raise TypeError("texts are no numbers")
    return np.where(known(column), column.astype(np.float64), np.nan)


def attribute_names(columns: Columns) -> tuple[str, ...]:
    """Which columns are attributes: what an image has or has not, several at a time."""
    return tuple(name for name, column in columns.items() if kind_of(column) == "attribute")


def rows_of(columns: Columns, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The values at `rows`, int64 [M], of every column."""
    return {name: column[rows] for name, column in columns.items()}


def joined(pieces: Iterable[tuple[Columns, int]]) -> dict[str, np.ndarray]:
    """Columns of several sets, each with its number of images, one after the other; what a set has
    no column for is not known of its images."""
    sets = list(pieces)
    kinds: dict[str, Kind] = {}
    for columns, _ in sets:
        for name, column in columns.items():
            kinds.setdefault(name, kind_of(column))
    return {
        name: np.concatenate([_of_kind(columns.get(name), kind, n) for columns, n in sets])
        for name, kind in kinds.items()
    }


def _of_kind(column: np.ndarray | None, kind: Kind, count: int) -> np.ndarray:
    if column is None or kind_of(column) != kind:
        return np.full(count, _NOT_KNOWN[kind], DTYPES[kind])
    return column


def equal(one: Columns, other: Columns) -> bool:
    """Whether two sets have the same columns with the same values."""
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype != other.dtype:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fM"))
