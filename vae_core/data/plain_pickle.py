"""Pickles of plain data, read so that nothing in them can run.

A pickle is a program. This reader knows lists, dictionaries, text and numbers, and in place of
whatever a pickle calls it offers stand-ins that build arrays of numbers, none of numpy's own.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_NUMBERS = re.compile(r"[|<>=]?[biuf][1248]")
_OLD, _NEW = "numpy.core.", "numpy._core."


class Refused(Exception):
    """The pickle asks for something that no array of numbers needs; the message names it."""


class Damaged(Exception):
    """The file is no whole pickle of plain data; the message says why in a few words."""


def load_plain(file: BinaryIO) -> Any:
    """What a pickle of any protocol holds, numpy's arrays as such; text of Python 2 as latin-1.

    DatasetEntry: the Python manual, pickle, "Restricting Globals".

    Raises:
        Refused: when the pickle would call anything else. Nothing has been called by then.
        Damaged: when it cannot be read.
    """
    try:
        return _Plain(file, encoding="latin1").load()
    except Refused:
        raise
    except Exception as error:  # on damaged pickles the reader raises almost anything
        raise Damaged(str(error) or type(error).__name__) from error


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        wanted = f"{module.replace(_OLD, _NEW)}.{name}"
        # Made anew for every name: what a pickle might set on one of them goes with it.
        admitted = _stand_ins()
        if wanted not in admitted:
            raise Refused(f"{module}.{name}")
        return admitted[wanted]


class _Type:
    """Stands in for `numpy.dtype`: a kind of number and its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise Refused(f"an array of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for `numpy.ndarray`: bytes and their shape."""

    def __init__(self) -> None:
        self.array = np.zeros(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.fill(data, kind, shape, "F" if fortran else "C")

    def fill(self, data: Any, kind: Any, shape: Any, order: Any) -> None:
        """Take in the numbers of `data`, bytes or, from Python 2, text."""
        if not isinstance(kind, _Type):
            raise Refused("an array of no numbers")
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        self.array = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array.astype(self.array.dtype if dtype is None else dtype)

    def __len__(self) -> int:
        return len(self.array)


def _stand_ins() -> dict[str, Callable[..., Any]]:
    def begun(*_: Any) -> _Array:
        return _Array()

    def whole(data: Any, kind: Any, shape: Any, order: Any, *_: Any) -> _Array:
        made = _Array()
        made.fill(data, kind, shape, order)
        return made

    def number(kind: Any, data: Any) -> Any:
        made = _Array()
        made.fill(data, kind, (), "C")
        return made.array.item()

    def as_bytes(text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise Refused(f"the encoding {encoding!r}")
        return text.encode("latin1")

    return {
        f"{_NEW}multiarray._reconstruct": begun,
        f"{_NEW}multiarray.scalar": number,
        f"{_NEW}numeric._frombuffer": whole,
        "numpy.ndarray": begun,
        "numpy.dtype": _Type,
        "_codecs.encode": as_bytes,
    }
