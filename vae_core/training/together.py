"""What the first process of a group tells the others, before the first step and where all go back
to a save.

The folder of a run lies where the first one is, and there alone: the others are sent copies of what
they have to know. The images have to be on each machine, under the same name.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from vae_core.errors import UserError
from vae_core.progress import Progress
from vae_core.runs import PARTS, Run, layout
from vae_core.training.distributed import ALONE, Distributed

SENT = (
    layout.CONFIG,
    layout.DATA_CARD,
    PARTS,
    layout.SELECTION,
    layout.INITIAL,
    layout.INITIAL_CARD,
)
"""What a process begins with, beside the training state; see `layout.py`."""

WAIT, GO = "wait", "go"
WORD_EVERY_S = 60.0


class Hold:
    """Has the others wait while the first process prepares what it then shares: by a word now and
    then, as no network waits for ever."""

    def __init__(self, group: Distributed) -> None:
        self._group, self._told_at = group, time.monotonic()

    def while_preparing(self, progress: Progress) -> Progress:
        """The same progress, which has them wait on."""

        def report(message: str, share: float | None) -> None:
            progress(message, share)
            if self._group is not ALONE and time.monotonic() - self._told_at > WORD_EVERY_S:
                self._told_at = time.monotonic()
                self._group.broadcast(WAIT)

        return report

    def end(self) -> None:
        """Of the first: go on together."""
        self._group.broadcast(GO)
        self._group = ALONE

    def wait(self) -> None:
        """Of the others: return once the first goes on. Raises as `broadcast`."""
        while self._group.broadcast() != GO:
            pass


def share(run: Run, group: Distributed) -> None:
    """Give the others the files of the first process's run that they begin with."""
    if group.world == 1:
        return
    for name in SENT:
        sent = group.broadcast_bytes(_content(run, name) if group.is_main else b"")
        if sent and not group.is_main:
            run.write_bytes(name, sent)


def _content(run: Run, name: str) -> bytes:
    """What is in a file of the run, b"" where there is none."""
    try:
        with run.opened(name) as file:
            return file.read(run.size(name))  # a bound of its kind would be taken from memory first
    except FileNotFoundError:
        return b""


def agree(group: Distributed, problem: str = "") -> None:
    """Go on once every process is ready to; a UserError with the `problem` of the first of those
    that are not."""
    for rank, (host, said) in enumerate(group.gather((socket.gethostname(), problem))):
        if said:
            raise UserError(f"Rank {rank} of {group.world}, on {host}: {said}")


def same_state(group: Distributed, state: Mapping[str, Any] | None = None) -> Any:
    """The training state that the first process of a group has, None for a beginning."""
    if group.world == 1:
        return state
    buffer = io.BytesIO()
    torch.save(state, buffer)
    told = group.broadcast_bytes(buffer.getvalue())
    return state if group.is_main else torch.load(io.BytesIO(told), weights_only=True)


def same_weights(group: Distributed, *modules: nn.Module) -> None:
    """Give modules the weights and buffers that the first process of a group has in them."""
    group.copy([each for module in modules for each in module.state_dict().values()])


def require_same_images(group: Distributed, digest: Mapping[str, str]) -> None:
    """Refuse, in every process of a group alike, images that are not the same in all of them;
    `digest` as `SplitRecord` has it. A UserError that names who has others."""
    digests = group.gather(digest)
    if any(each != digests[0] for each in digests):
        strangers = [str(rank) for rank, each in enumerate(digests) if each != digests[0]]
        raise UserError(
            f"The images are not the same everywhere: process {', '.join(strangers)} of "
            f"{group.world} has others than the first. Give all machines the same files."
        )


@contextmanager
def dismissing(group: Distributed) -> Iterator[None]:
    """Tell the others of a group when this process ends before its time."""
    try:
        yield
    except BaseException as error:
        group.dismiss(f"The first process has ended: {error or type(error).__name__}")
        raise
