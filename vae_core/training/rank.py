"""Which of the processes that train one run together this one is, before torch is imported.

Whoever starts them says it in the environment, as torchrun does; `distributed.py` has them meet.
"""

from __future__ import annotations

import os

from vae_core.errors import UserError

LOST = 75
"""The exit status of a process that cannot go on without another one (sysexits.h: a temporary
failure). Whoever started them may begin anew from the last save."""

SILENT = 76
"""That of one which has waited too long for a sign of life of another."""


def own_rank() -> int | None:
    """The number of this process among several, None for one that trains alone. A UserError when
    the environment says half of it."""
    rank, world = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    try:
        if int(world or 1) == 1:
            return None
        if 0 <= int(rank) < int(world):
            return int(rank)
    except ValueError:
        pass
    raise UserError(
        f"The environment names a process that cannot be (RANK={rank}, WORLD_SIZE={world}). Start "
        "the processes with torchrun, or unset both."
    )
