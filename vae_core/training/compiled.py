"""`train.compile`: the networks that a step calls, each compiled where it stands.

What was compiled is kept in this person's cache. Left to itself the compiler keeps it in a folder
of the machine's temporary files, which a restart empties and whoever comes first may own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from vae_core import torch_private
from vae_core.locations import cache_folder
from vae_core.training.precision import callable_parts

RECOMPILE_LIMIT = 1024
"""Kinds of calls that are compiled before the compiler silently gives up. It counts those of all
networks together; each is called while training and while measuring, with and without gradients."""


def compile_networks(
    networks: Iterable[nn.Module], backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Compile what each network's call does; names and weights stay as they are.

    A model is called through `encode`, `decode` or `given` as its objective likes, so the model
    itself is the wrong thing to compile; the halves are called by all of them. A list of stages is
    no network that can be called, each of its stages is.
    """
    torch_private.set_up_compiler(RECOMPILE_LIMIT)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    for network in callable_parts(networks):
        network.compile(backend=backend)
