"""Files that somebody else wrote: read within bounds, and nothing of them is executed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.bring.door import Shapes
from vae_core.errors import UserError
from vae_core.families.footprint import require_memory_for
from vae_core.nested import require_shallow
from vae_core.runs import Tensors

LARGEST_JSON = 2**20
LARGEST_PICKLE = 2**26
"""Bytes of what lists the tensors of a `torch.save`, which is read before them."""

FLOATS = ("F32", "F16", "BF16", "F64")


def bytes_of(path: Path, most: int | None = None) -> bytes:
    """A whole file. A `UserError` when it cannot be read, or has more than `most` bytes; without
    a bound, more than one model may take of memory."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is no file.")
        size = path.stat().st_size
        if most is None:
            require_memory_for(size)
        elif size > most:
            raise UserError(f"{path} has {size} bytes, and at most {most} are read.")
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def json_of(path: Path) -> dict[str, Any]:
    """A small JSON object. A `UserError` when it is none."""
    try:
        found = json.loads(bytes_of(path, LARGEST_JSON))
        require_shallow(found)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path} is no JSON object.")
    return found


def safe_weights(
    path: Path, names: Mapping[str, tuple[str, ...]], shapes: Shapes
) -> dict[str, Tensor]:
    """The weights of a safetensors file as float32, by the names that they have here.

    Every one has to be there with its shape, and nothing else, before any is read.

    Args:
        names: for each name here those that it may have there.

    Raises:
        UserError: naming the first that does not fit.
    """
    try:
        with path.open("rb") as file:
            tensors = Tensors(file)
            there = {}
            for here, shape in shapes.items():
                known = [name for name in names[here] if name in tensors]
                if not known:
                    raise ValueError(f"it has no {names[here][0]}")
                there[here] = known[0]
                require_shape(known[0], tensors.specs[known[0]].shape, shape)
            if strange := tensors.specs.keys() - set(there.values()):
                raise ValueError(f"it has {min(strange)[:80]}, which this network has not")
            return {
                here: _floats(tensors, name).reshape(shapes[here]) for here, name in there.items()
            }
    except (OSError, ValueError) as error:
        raise UserError(f"The weights in {path} do not fit: {error}.") from None


def require_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """A ValueError where a tensor has another shape; sides of 1 at its end do not count."""
    bare = found
    while len(bare) > len(wanted) and bare[-1] == 1:
        bare = bare[:-1]
    if bare != tuple(wanted):
        raise ValueError(f"{name[:80]} is {list(found)} and should be {list(wanted)}")


def _floats(tensors: Tensors, name: str) -> Tensor:
    spec = tensors.specs[name]
    if spec.dtype not in FLOATS:
        raise ValueError(f"{name[:80]} is {spec}, and no floating point numbers")
    array = tensors.array(name, spec.dtype, spec.shape)
    if spec.dtype == "BF16":  # the upper half of a float32, which numpy does not know
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return torch.from_numpy(array.astype(np.float32))


def pickled_weights(path: Path) -> Mapping[str, Any]:
    """What `torch.save` wrote, if it is made of tensors, texts and numbers alone.

    Its archive may neither be packed nor promise more than the file has: it is as large in memory
    as on the disk.

    Raises:
        UserError: when it is no such file, or holds what would have to be executed.
    """
    data = bytes_of(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            entries = parts.infolist()
        plain = all(part.compress_type == zipfile.ZIP_STORED for part in entries)
        pickles = [part.file_size for part in entries if part.filename.endswith(".pkl")]
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise UserError(f"{path} is no file of weights that torch.save wrote.") from None
    promised = sum(part.file_size for part in entries)
    if not plain or promised > len(data) or max(pickles, default=0) > LARGEST_PICKLE:
        raise UserError(f"{path} is packed so that it grows in memory, as torch.save never does.")
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch names what it refuses in errors of several classes
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise UserError(
                f"{path} holds more than weights, which would have to be executed; nothing of it "
                "was. Save the state dict alone and bring it again."
            ) from None
        raise UserError(f"{path} is damaged: {type(error).__name__}.") from None
    if not isinstance(found, Mapping):
        raise UserError(f"{path} holds no weights by name.")
    return found


def weights_by_name(path: Path, values: Mapping[str, Any], shapes: Shapes) -> dict[str, Tensor]:
    """Those of `values` that `shapes` names, with these shapes, as float32. A `UserError` that
    names the first that does not fit, or promises more numbers than it has."""
    found = {}
    try:
        for name, shape in shapes.items():
            tensor = values.get(name)
            if not isinstance(tensor, Tensor):
                raise ValueError(f"it has no {name}")
            require_shape(name, tuple(tensor.shape), shape)
            if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
                raise ValueError(f"{name} promises more numbers than it has")
            found[name] = tensor.reshape(shape).clone().contiguous()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"The weights in {path} do not fit: {error}.") from None
    return found
