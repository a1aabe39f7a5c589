"""What the first process of a group tells the others before the first step.

The folder of a run lies where the first one is, and there alone: the others are sent copies of what
they have to know. The images have to be on each machine, under the same name.
"""

from __future__ import annotations

import socket
import time

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
