"""Tables with a column of pictures, as on the Hugging Face hub: which column it is, and its cells.

A picture is a struct of `bytes` and `path`, plain bytes of a picture file, or nested lists of
numbers. Labels are a ClassLabel, or a column that is called so.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from vae_core.imaging.kinds import Cell, Contents, NotAnImage
from vae_core.imaging.numbers import as_values, layout_of
from vae_core.imaging.sniffed import open_by_content
from vae_core.imaging.tables import MOST_COLUMNS, as_cell, as_text

LABELS = ("label", "labels", "class", "category", "target", "y")
IMAGES = ("image", "img", "picture", "photo", "pixel_values", "pixels")
MOST_ROWS = 5_000_000
ROWS = 16
"""Read at once: a row may hold a photograph."""

Batches = Callable[[Sequence[str], int], Iterator[Any]]
"""The record batches of some columns, from the group that the row lies in on, each with the number
of its first row."""


class ImageTable:
    """The pictures of an open table. See `kinds.Opened`.

    Args:
        schema: what pyarrow knows of its columns.
        count: its rows.
        start_of: the first row of the group that a row lies in.
        batches: gives (first row, record batch) from such a row on, for some columns.
    """

    def __init__(
        self, schema: Any, count: int, start_of: Callable[[int], int], batches: Batches
    ) -> None:
        if count > MOST_ROWS:
            raise NotAnImage(f"more than {MOST_ROWS:,} rows")
        self._schema, self._count = schema, count
        self._start_of, self._batches = start_of, batches
        self._features = _features(schema)
        self._column = _image_column(schema, self._features)
        self._ahead: Iterator[Any] | None = None
        self._read: tuple[int, Any] = (0, None)

    def contents(self) -> Contents:
        """A picture a row, with its label and what else stands beside it."""
        label = self._label_column()
        plain = [field.name for field in self._schema if _is_plain(field.type)]
        wanted = [name for name in plain if name != label][:MOST_COLUMNS]
        cells: dict[str, list[Cell]] = {name: [] for name in wanted}
        labels: list[str] = []
        for _, batch in self._batches([*wanted, *filter(None, [label])], 0):
            for name in wanted:
                cells[name] += map(as_cell, batch.column(name).to_pylist())
            if label:
                labels += [self._label(label, each) for each in batch.column(label).to_pylist()]
        return Contents(self._count, self._names(), tuple(labels) if label else None, cells)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """The picture of a row; groups are read forwards, and anew where the row lies behind."""
        cell = self._cell(index)
        if isinstance(cell, dict):
            if cell.get("bytes") is None:
                raise NotAnImage("its bytes are not in the file, which only names another file")
            cell = cell["bytes"]
        if cell is None:
            raise NotAnImage("an empty cell")
        if isinstance(cell, bytes):
            return open_by_content(io.BytesIO(cell)).values(0, least)
        return _listed(cell)

    def close(self) -> None:
        """Forget what was read."""
        self._ahead, self._read = None, (0, None)

    def _cell(self, index: int) -> Any:
        first, batch = self._read
        if batch is None or not first <= index < first + batch.num_rows:
            first, batch = self._read = self._find(index, first if batch is None else first + 1)
        return batch.column(0)[index - first].as_py()

    def _find(self, index: int, after: int) -> tuple[int, Any]:
        """The batch of a row: further on in what is being read, or from the row's group on."""
        start = self._start_of(index)
        if self._ahead is None or index < after or start > after + ROWS:
            self._ahead = iter(self._batches([self._column], start))
        for first, batch in self._ahead:
            if first <= index < first + batch.num_rows:
                return first, batch
        self._ahead = None
        raise NotAnImage("damaged: the row is not there")

    def _names(self) -> tuple[str, ...]:
        """The names of the files that the pictures were, where all differ."""
        import pyarrow

        kind = self._schema.field(self._column).type
        if not pyarrow.types.is_struct(kind) or kind.get_field_index("path") < 0:
            return ()
        names: list[str] = []
        for _, batch in self._batches([f"{self._column}.path"], 0):
            for cell in batch.column(0).to_pylist():
                path = (cell or {}).get("path") if isinstance(cell, dict) else cell
                name = as_text(path or "").replace("\\", "/").rpartition("/")[2]
                if not name:
                    return ()
                names.append(name)
        return tuple(names) if len(set(names)) == len(names) == self._count else ()

    def _label_column(self) -> str:
        classes = [n for n, each in self._features.items() if each.get("_type") == "ClassLabel"]
        called = [name for name in LABELS if name in self._schema.names]
        found = [n for n in (*classes, *called) if n in self._schema.names]
        plain = [name for name in found if _is_plain(self._schema.field(name).type)]
        return plain[0] if plain else ""

    def _label(self, column: str, value: Any) -> str:
        if value is None:
            return ""
        names = self._features.get(column, {}).get("names")
        if isinstance(names, list) and isinstance(value, int) and 0 <= value < len(names):
            return as_text(str(names[value]))
        return as_text(str(value))


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What the hub's metadata say of each column, {} where there are none."""
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
        about = json.loads((schema.metadata or {})[b"huggingface"])
        found = about["info"]["features"]
        return {str(k): v for k, v in found.items() if isinstance(v, dict)}
    return {}


def _image_column(schema: Any, features: dict[str, dict[str, Any]]) -> str:
    """The first column that the metadata call an image, else one that can be, by name and type."""
    told = [name for name, each in features.items() if each.get("_type") == "Image"]
    able = [field.name for field in schema if _may_hold(field.type)]
    for name in (*told, *(name for name in IMAGES if name in able), *able):
        if name in able:
            return name
    listed = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:6])
    raise NotAnImage(f"no column of pictures in it ({listed or 'it has no columns'})")


def _may_hold(kind: Any) -> bool:
    import pyarrow.types as t

    kind = getattr(kind, "storage_type", kind)
    if t.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_bytes(kind.field(index).type)
    return _is_bytes(kind) or (_is_list(kind) and _is_list(kind.value_type))


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as t

    return t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as t

    return t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)


def _is_plain(kind: Any) -> bool:
    import pyarrow.types as t

    texts = t.is_string(kind) or t.is_large_string(kind)
    return texts or t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind)


def _listed(cell: Any) -> np.ndarray:
    """Nested lists of numbers as a picture."""
    try:
        array = np.asarray(cell)
    except ValueError:
        raise NotAnImage("lists of unequal lengths") from None
    if array.dtype.kind == "i" and array.size and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)  # a list has no number type, and this is what it is
    layout = layout_of(array.shape)
    if layout.count != 1:
        if array.ndim != 3 or array.shape[0] > 4:
            raise NotAnImage(f"an array of {layout.count} pictures in one cell")
        return as_values(array.transpose(1, 2, 0))
    return as_values(layout.upright(array))
