"""`train.compile`: the networks that a step calls, each compiled where it stands.

What was compiled is kept in this person's cache, a folder for each network, within the bound of
what lies there. Left to itself the compiler keeps it in a folder of the machine's temporary files,
which a restart empties and whoever comes first may own.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vae_core import torch_private
from vae_core.data.cache import CacheLock, acquire, mark_used, prune
from vae_core.locations import cache_folder
from vae_core.training.precision import callable_parts

KEPT_AT = "TORCHINDUCTOR_CACHE_DIR"
"""Names the folder that the compiler keeps its work in; a person's own choice is left alone."""

RECOMPILE_LIMIT = 1024
"""Kinds of calls that are compiled before the compiler silently gives up. It counts those of all
networks together; each is called while training and while measuring, with and without gradients."""


def compile_networks(
    networks: Iterable[nn.Module],
    backend: str | Callable[..., Any] = "inductor",
    device: torch.device | None = None,
) -> Callable[[], None]:
    """Compile what each network's call does; names and weights stay as they are.

    A model is called through `encode`, `decode` or `given` as its objective likes, so the model
    itself is the wrong thing to compile; the halves are called by all of them. A list of stages is
    no network that can be called, each of its stages is.

    On a GPU the calls of training alone are compiled, as CUDA graphs where the backend makes them:
    a graph writes its outputs where the last replay has written them, and only what is called
    between `begin_step` and the next is sure to have been used by then.

    Returns:
        What has the networks run as they did before.

    Raises:
        UserError: when the bound of the cache is no number.
    """
    torch_private.set_up_compiler(RECOMPILE_LIMIT)
    networks = list(networks)
    _choose_folder(networks)
    plain = [(network, network.forward) for network in callable_parts(networks)]
    for network, forward in plain:
        if device is not None and device.type == "cuda":
            network.forward = _while_training(network, backend)
        else:
            network.forward = torch.compile(forward, backend=backend)

    def take_back() -> None:
        for network, forward in plain:
            network.forward = forward

    return take_back


def _choose_folder(networks: Sequence[nn.Module]) -> None:
    """Have the compiler keep these networks where it has kept them before, and make room."""
    chosen = os.environ.get(KEPT_AT)
    if chosen is not None and Path(chosen).parent != cache_folder():
        return
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=10)
    for network in networks:
        shapes = [(name, *tensor.shape) for name, tensor in network.state_dict().items()]
        digest.update(repr((type(network).__qualname__, shapes)).encode())
    folder = cache_folder() / f"compiled-{digest.hexdigest()}"
    os.environ[KEPT_AT] = str(folder)
    with suppress(OSError):  # where nothing can be kept, the compiler says so
        _held(folder)
        mark_used(folder)
    prune()


@cache
def _held(folder: Path) -> CacheLock:
    """What keeps a folder from being removed for as long as this process lives."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just removed it
            if lock := acquire(folder, exclusive=False):
                return lock
        time.sleep(0.01)  # it is looked at or being removed


def begin_step() -> None:
    """What the graphs of the step before have put out is no longer needed."""
    torch.compiler.cudagraph_mark_step_begin()


def _while_training(network: nn.Module, backend: str | Callable[..., Any]) -> Callable[..., Any]:
    plain = network.forward
    mode = "reduce-overhead" if backend == "inductor" else None
    compiled = torch.compile(plain, backend=backend, mode=mode)

    @wraps(plain)
    def forward(*inputs: Any, **named: Any) -> Any:
        learns = network.training and torch.is_grad_enabled()
        return (compiled if learns else plain)(*inputs, **named)

    return forward
