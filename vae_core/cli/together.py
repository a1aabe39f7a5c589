"""Commands that several processes run together, whoever has started them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vae_core.errors import UserError
from vae_core.training.rank import own_rank
from vae_core.training.watchdog import watch_follower

if TYPE_CHECKING:
    from vae_core.training.distributed import Distributed

ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, help="Processes that train it together, each on a device or cores."
    ),
]


@contextmanager
def leading() -> Iterator[Distributed | None]:
    """The group of processes that this one is the first of, None for one that trains alone. Where
    it ends with an error, the others hear of it.

    All but the first do not come back from here before the training is over: they follow.
    """
    rank = own_rank()
    if rank is None:
        yield None
        return
    if rank:
        watch_follower()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # who is lost is said in a sentence
    import torch

    from vae_core.training.distributed import join
    from vae_core.training.worker import follow

    group = join(cuda=torch.cuda.is_available())
    if rank:
        follow(group)
        raise typer.Exit
    try:
        yield group
    except BaseException as error:
        group.dismiss(str(error))
        raise
    group.close()


def require_none_started(group: Distributed | None, processes: int | None) -> None:
    """Refuse to start processes in each of several that were started already."""
    if group is not None and processes:
        raise UserError("torchrun has started the processes; leave out --processes.")
