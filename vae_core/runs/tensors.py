"""Files of tensors, whose head is checked before a byte of their data is read.

The library maps what it is given and believes what the head promises of shapes. Here the head is
bounded, every shape times its type has to fill its place, and all places together the file; then
whoever reads says which type and shape each tensor must have.

Format: https://github.com/huggingface/safetensors#format

A training state is a zip of tensors as `torch.save` writes it, of which nothing is executed, and
which unpacks to no more than its weights explain.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

LONGEST_HEAD = 4 * 2**20
"""Bytes: some thousand tensors, and the names of some ten thousand labels."""

MOST_AXES = 8

STATE_PER_WEIGHT, STATE_BESIDES = 12, 64 * 2**20
"""A state holds the weights, Adam's two averages, the best so far, and some of it twice; then what
does not grow with the weights."""

DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2",
}  # fmt: skip
"""NumPy's names of the types that are known; BF16, which it has not, as the upper half of F32."""


@dataclass(frozen=True)
class Spec:
    """A tensor as the head describes it; `start` and `end` in bytes of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class Tensors:
    """An open file: its metadata, and its tensors one by one."""

    def __init__(self, file: BinaryIO) -> None:
        """Read and check the head. A ValueError when it is no safetensors file, or is cut off or
        padded."""
        self._file = file
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEAD):
            raise ValueError("its head is cut off or too long")
        try:
            head = json.loads(file.read(length))
            self.metadata: dict[str, str] = head.pop("__metadata__", {})
            if not all(isinstance(text, str) for text in self.metadata.values()):
                raise TypeError("metadata are texts")
            self.specs = {str(name): _spec(spec, 8 + length) for name, spec in head.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError("its head is damaged") from error
        end = 8 + length
        for spec in sorted(self.specs.values(), key=lambda spec: (spec.start, spec.end)):
            if spec.start != end:
                raise ValueError("its tensors overlap or leave gaps")
            end = spec.end
        if end != size:
            raise ValueError(f"it has {size} bytes, and its head speaks of {end}")

    def __contains__(self, name: object) -> bool:
        return name in self.specs

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(spec.end - spec.start for spec in self.specs.values())

    def step(self) -> int:
        """The training step that the file says it is of. A ValueError when it names none."""
        if "step" not in self.metadata:
            raise ValueError("it names no step")
        return int(self.metadata["step"])

    def require(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> Spec:
        """The tensor `name`, once it is sure that it has this type and shape; None is any length.
        A ValueError that names it when it is missing or another one."""
        if name not in self.specs:
            raise ValueError(f"it has no {name}")
        spec = self.specs[name]
        pairs = zip(shape, spec.shape, strict=False)
        alike = len(shape) == len(spec.shape) and all(n in (None, found) for n, found in pairs)
        if spec.dtype != dtype or not alike:
            told = [("any" if n is None else n) for n in shape]
            raise ValueError(f"{name} is {spec} and should be {dtype} {told}".replace("'", ""))
        return spec

    def array(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The tensor `name` as a writable array. Raises as `require`, and a ValueError when the
        file was cut meanwhile."""
        spec = self.require(name, dtype, shape)
        found = np.empty(spec.shape, DTYPES[spec.dtype])
        self._file.seek(spec.start)
        if self._file.readinto(found.reshape(-1).view(np.uint8)) != found.nbytes:  # type: ignore[attr-defined]
            raise ValueError(f"{name} is cut off")
        return found

    def maybe(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray | None:
        """As `array`; None where there is no such tensor."""
        return self.array(name, dtype, shape) if name in self.specs else None


def _spec(told: Mapping[str, Any], data: int) -> Spec:
    dtype, shape, offsets = told["dtype"], told["shape"], told["data_offsets"]
    start, end = offsets  # two of them, or it is a ValueError
    if dtype not in DTYPES or not isinstance(shape, list) or len(shape) > MOST_AXES:
        raise ValueError("no tensor of a run")
    if any(type(n) is not int or n < 0 for n in (*shape, start, end)):
        raise ValueError("no sizes")
    if math.prod(shape) * np.dtype(DTYPES[str(dtype)]).itemsize != end - start:
        raise ValueError("a shape that does not fill its place")
    return Spec(str(dtype), tuple(shape), data + start, data + end)


def load_state(file: BinaryIO, weights_size: int) -> dict[str, Any]:
    """The values that `torch.save` wrote, on the CPU. `weights_size`: bytes of the weights that the
    state goes with. A ValueError when it is packed, or larger than the weights explain; an
    Exception when it is damaged, in more ways than torch names."""
    import torch

    most = STATE_PER_WEIGHT * weights_size + STATE_BESIDES
    with zipfile.ZipFile(file) as parts:
        unpacked = sum(part.file_size for part in parts.infolist())
        plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts.infolist())
    if not plain:
        raise ValueError("it is packed, which no version does")
    if max(unpacked, file.seek(0, os.SEEK_END)) > most:
        raise ValueError(
            f"it has {unpacked / 1e6:.0f} MB, and its weights explain {most / 1e6:.0f} MB"
        )
    file.seek(0)
    found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return found
