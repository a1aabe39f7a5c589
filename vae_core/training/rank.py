"""Which of the processes that train one run together this one is.

Whoever starts them says it in the environment, as torchrun does. Free of torch, which takes seconds
to be imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from vae_core.errors import UserError

LOST = 75
"""The exit status of a process that could not go on without another one (sysexits.h: a temporary
failure); whoever started them may begin anew from the last save."""


@dataclass(frozen=True)
class Rank:
    """A process among `world`, by its number; `local` counts those of one machine, of which there
    are `local_world`. By itself, a process is number 0 of 1."""

    number: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1

    @property
    def alone(self) -> bool:
        return self.world == 1

    @property
    def first(self) -> bool:
        """Whether it is the one that records: it alone writes into the run."""
        return self.number == 0

    def threads(self, asked: int | None = None) -> int:
        """Threads to compute with: those asked for, else an equal part of the machine's cores."""
        return asked or max(1, (os.cpu_count() or 1) // self.local_world)

    def __str__(self) -> str:
        return f"rank {self.number} of {self.world}"


def own_rank() -> Rank:
    """The rank of this process. A UserError when the environment names one that cannot be."""
    said = {name: os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")}
    if not all(said.values()):
        return Rank()
    said |= {name: os.environ.get(name, "") for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    try:
        number, world = int(said["RANK"]), int(said["WORLD_SIZE"])
        local, beside = int(said["LOCAL_RANK"] or 0), int(said["LOCAL_WORLD_SIZE"] or 1)
        if 0 <= number < world and 0 <= local < beside <= world:
            return Rank(number, world, local, beside)
    except ValueError:
        pass
    values = ", ".join(f"{name}={value}" for name, value in said.items())
    raise UserError(
        f"The environment names a process that cannot be: {values}. Start the processes with "
        "torchrun, or unset these variables."
    )
