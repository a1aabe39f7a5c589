"""How much memory a model takes, known before any of it is taken.

Model and objective are built on torch's "meta" device, where tensors have shapes and no values.
Maps are measured with a batch of no images: on the meta device torch's operators would load a
library of symbols first, 3 s and 160 MB.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.families.family import build_on_meta, may_accumulate
from vae_core.models import LatentModel
from vae_core.runs import DataCard

MEMORY_VARIABLE = "VAE_MEMORY_GB"
"""Environment variable: how much memory one model may take, in GB."""

OPEN_LIMIT = 2e9
"""Bytes that a model may take which is only looked at, unless the variable says otherwise: the
server keeps several, and whoever sent a run need not mean well."""

COPIES = 4
"""Of the weights while they are trained: themselves, gradients, Adam's two averages. One more is
the average of the weights, where `train.ema` has one kept."""

_CONTROL_GROUP = Path("/sys/fs/cgroup/memory.max")


class Footprint(NamedTuple):
    """Bytes of the weights, and of the maps that one image leaves on its way through."""

    weights: int
    image: int


def footprint(config: RunConfig, data: DataCard) -> Footprint:
    """What a model and its objective take; raises as `build`."""
    return _footprint(config.to_json(), data.model_dump_json())


def require_memory_to_open(config: RunConfig, data: DataCard) -> None:
    """Refuse a model that is too large to be opened beside others, by a `UserError`."""
    require_memory_for(sum(footprint(config, data)))


def require_memory_for(needed: int) -> None:
    """Refuse so many bytes for one model that is opened, by a `UserError`."""
    bound = _memory_allowed() or OPEN_LIMIT
    if needed > bound:
        raise UserError(
            f"The model would take {_gb(needed)} of memory, and {_gb(bound)} are allowed for one "
            f"that is opened. Set {MEMORY_VARIABLE} (in GB) to allow more."
        )


def require_memory_to_train(
    config: RunConfig, data: DataCard, processes: int = 1, world: int = 1
) -> None:
    """Refuse a training that this machine has not the memory for, by a `UserError`.

    Args:
        processes: how many of it run on this machine, each with all weights and its share of the
            batch. world: how many there are.
    """
    found, whole = footprint(config, data), config.train.batch_size
    whole = min(whole, data.n_train) if data.n_train else whole
    parts = world * config.train.accumulate
    batch = processes * math.ceil(whole / parts)
    bound = _memory_allowed() or machine_memory()
    copies = COPIES + (config.train.ema > 0)
    fixed, maps = processes * copies * found.weights, batch * found.image
    if fixed + maps <= bound:
        return
    at_once = int((bound - fixed) // max(1, found.image)) // processes
    fits = "a smaller network or images"
    if at_once >= 1:
        fits = f"a batch size of at most {at_once * parts}"
        if may_accumulate(config, data):
            fits += f", gradient accumulation in {math.ceil(whole / (world * at_once))} parts"
    raise UserError(
        f"Training would take {_gb(fixed + maps)} of memory: {_gb(fixed)} for the weights "
        f"with gradients and averages{_each(processes)}, {_gb(maps)} for {batch} images at once; "
        f"{_gb(bound)} are allowed. Use {fits}, or set {MEMORY_VARIABLE} (in GB) to allow more."
    )


def _each(processes: int) -> str:
    return f" in each of {processes} processes" if processes > 1 else ""


def machine_memory() -> float:
    """Bytes of memory of this machine, or of the container that this process lives in."""
    total = float(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):
        total = min(total, float(_CONTROL_GROUP.read_text()))
    return total


def _memory_allowed() -> float | None:
    """What the variable allows, in bytes; None where it is not set, a `UserError` for no number."""
    text = os.environ.get(MEMORY_VARIABLE, "").strip()
    if not text:
        return None
    try:
        bytes_ = float(text) * 1e9
    except ValueError:
        bytes_ = 0.0
    if not bytes_ > 0:
        raise UserError(f"{MEMORY_VARIABLE} is {text!r}; it is a number of GB, such as 8.")
    return bytes_


@functools.lru_cache(maxsize=64)
def _footprint(config_json: str, data_json: str) -> Footprint:
    config, data = parse_config(config_json), DataCard.model_validate_json(data_json)
    model, objective = build_on_meta(config, data)
    kept = {id(t): t for each in (model, objective) for t in (*each.parameters(), *each.buffers())}
    weights = sum(t.numel() * t.element_size() for t in kept.values())
    _shrink_weights(model)
    return Footprint(weights, _image(model, objective.samples, data.image_shape))


def _shrink_weights(module: nn.Module) -> None:
    """Give every weight one number in memory, whatever its shape."""
    for each in module.modules():
        for name, weight in list(each.named_parameters(recurse=False, remove_duplicate=False)):
            one = torch.zeros((), dtype=weight.dtype).expand(weight.shape)
            setattr(each, name, nn.Parameter(one, requires_grad=False))
        for name, buffer in list(each.named_buffers(recurse=False, remove_duplicate=False)):
            setattr(each, name, torch.zeros((), dtype=buffer.dtype).expand(buffer.shape))


@torch.no_grad()
def _image(model: LatentModel, draws: int, shape: tuple[int, int, int]) -> int:
    """Bytes of all maps of one image, forth and back: what the backward pass will ask for."""
    x = torch.empty((0, *shape))
    with torch.random.fork_rng(devices=[]), _Convolutions(), _counted(model.eval()) as counted:
        with suppress(Exception):  # what asks for values stops, and counts so far
            model.encode(x)
        with suppress(Exception):
            model.decode(model.unflatten(torch.empty((0, model.latent_size))))
    return counted[0] * max(1, draws) + _of_one(x)


class _Convolutions(TorchFunctionMode):
    """Convolutions that only say which shape they give: torch's own would lay the weights out."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        shape: Callable[..., Tensor] | None = _SHAPES.get(func)
        return func(*args, **(kwargs or {})) if shape is None else shape(*args, **(kwargs or {}))


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    if padding == "same":
        return x.new_empty((len(x), len(weight), *x.shape[2:]))
    axes = zip(x.shape[2:], weight.shape[2:], *map(_pair, (stride, padding, dilation)), strict=True)
    sides = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]
    return x.new_empty((len(x), len(weight), *sides))


def _convolved_back(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    settings = map(_pair, (stride, padding, output_padding, dilation))
    axes = zip(x.shape[2:], weight.shape[2:], *settings, strict=True)
    sides = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, o, d in axes]
    return x.new_empty((len(x), weight.shape[1] * groups, *sides))


_SHAPES: dict[Any, Callable[..., Tensor]] = {
    torch.conv2d: _convolved,
    torch.conv_transpose2d: _convolved_back,
}


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


@contextmanager
def _counted(module: nn.Module) -> Iterator[list[int]]:
    """The bytes for each image that the innermost modules hand on meanwhile."""
    total = [0]

    def count(module: nn.Module, given: object, made: object) -> None:
        parts = made if isinstance(made, tuple | list) else (made,)
        total[0] += sum(_of_one(part) for part in parts if isinstance(part, Tensor))

    inner = [each for each in module.modules() if not list(each.children())]
    hooks = [each.register_forward_hook(count) for each in inner]
    try:
        yield total
    finally:
        for hook in hooks:
            hook.remove()


def _of_one(tensor: Tensor) -> int:
    return math.prod(tensor.shape[1:]) * tensor.element_size()


def _gb(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
