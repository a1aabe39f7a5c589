"""Names and columns as tensors, for the files in which encodings and surveys keep them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from vae_core.data.columns import DTYPES, Columns, Kind, kind_of
from vae_core.runs import Tensors

LONGEST_NAME = 4096
"""Bytes of a file's name, as file systems have it."""

MOST_BYTES = 100 * 10**6
"""Of names or texts that are read at once."""

MOST_COLUMNS = 1000

_STORED: dict[Kind, str] = {"number": "F64", "date": "I64", "attribute": "I8"}


def packed(texts: Sequence[str]) -> np.ndarray:
    """Names as one array of bytes; none may hold the zero byte, and no file name can."""
    joined = "\0".join(texts).encode("utf-8", "surrogateescape")
    return np.frombuffer(joined, np.uint8)


def unpacked(file: Tensors, name: str, most: int) -> tuple[str, ...]:
    """What `packed` made of at most so many names.

    Raises:
        ValueError: when there are more, or they are longer than names are.
    """
    spec = file.require(name, "U8", (None,))
    if spec.shape[0] > min(most * LONGEST_NAME, MOST_BYTES):
        raise ValueError(f"{name} is too long")
    stored = file.array(name, "U8", spec.shape)
    if np.count_nonzero(stored == 0) >= most:
        raise ValueError(f"{name} has too many names")
    joined = stored.tobytes().decode("utf-8", "surrogateescape")
    return tuple(joined.split("\0")) if joined else ()


def files_of(file: Tensors, count: int) -> tuple[str, ...]:
    """The `count` names of files under "files"; () where the images came from none.

    Raises:
        ValueError: as `unpacked`.
    """
    files = unpacked(file, "files", count) if "files" in file else ()
    return files if len(files) == count else ()


def stored_columns(columns: Columns) -> tuple[dict[str, np.ndarray], str]:
    """The tensors that hold the columns, and as JSON their names and kinds.

    Texts are kept as each different one and the places of the images' among them.
    """
    arrays: dict[str, np.ndarray] = {}
    for i, column in enumerate(columns.values()):
        match kind_of(column):
            case "text":
                # The empty text alone would read back as no text at all.
                texts, places = np.unique(np.append(column, ""), return_inverse=True)
                arrays[f"column.{i}.texts"] = packed([each.replace("\0", "") for each in texts])
                arrays[f"column.{i}"] = places[:-1].astype(np.int32)
            case "date":
                arrays[f"column.{i}"] = column.astype(np.int64)
            case _:
                arrays[f"column.{i}"] = column
    told = [[name, kind_of(column)] for name, column in columns.items()]
    return arrays, json.dumps(told)


def read_columns(file: Tensors, count: int) -> dict[str, np.ndarray]:
    """What `stored_columns` made of the columns of `count` images; {} in files from before.

    Raises:
        ValueError: when they are damaged.
    """
    try:
        told = json.loads(file.metadata.get("columns", "[]"))
    except RecursionError:
        told = None
    if not isinstance(told, list) or len(told) > MOST_COLUMNS:
        raise ValueError("its columns are no list")
    found = {}
    for i, each in enumerate(told):
        name, kind = each  # two of them, or it is a ValueError
        if not isinstance(name, str) or kind not in DTYPES:
            raise ValueError("a column has no name or kind")
        if kind == "text":
            texts = np.array(unpacked(file, f"column.{i}.texts", count + 1) or ("",), "O")
            places = file.array(f"column.{i}", "I32", (count,))
            if len(places) and not 0 <= places.min() <= places.max() < len(texts):
                raise ValueError(f"column {name[:80]} names a text that is not there")
            found[name] = texts[places]
        else:
            found[name] = file.array(f"column.{i}", _STORED[kind], (count,)).astype(DTYPES[kind])
    return found
