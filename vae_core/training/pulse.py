"""Signs of life among the processes of one training, beside what they compute.

A step that waits for another process looks the same as one that is slow, and a network that was cut
says nothing. So each process counts up in the store that they met in, from a thread; the first one
looks at all of them, and each of them at the first.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from vae_core.runs.process import Watch, silence_s
from vae_core.training.attempts import has_agent, meeting_store
from vae_core.training.distributed import Distributed

BEAT_S = 0.3
LOOK_S = 3 * BEAT_S
"""Once it is known that a process is missing: how long to look which one it is."""

PARTED = b"parted"
"""In place of a beat, of one that ends because it misses another."""

Say = Callable[[str], None]


class Pulse:
    """The beat of this process, and what it sees of the others; to be entered.

    A process whose parent, the agent that started it, has died is asked to stop, as by SIGTERM.
    """

    def __init__(self, group: Distributed, lost: Say) -> None:
        """`lost`: called from a thread with a sentence, once another process has been silent, or
        the store out of reach, for as long as a lease's holder may be (`VAE_SILENT_S`)."""
        self._group, self._lost, self._silent_s = group, lost, silence_s()
        self._hosts = group.gather(socket.gethostname())
        self._prefix = group.broadcast(secrets.token_hex(8))
        self._own = group.rank
        self._watched = [0] if self._own else list(range(1, group.world))
        self._silence = dict.fromkeys(self._watched, 0.0)
        self._parted: set[int] = set()
        self._unanswered_s = 0.0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=task, name=task.__name__.strip("_"), daemon=True)
            for task in (self._beat, self._judge)
        ]

    def __enter__(self) -> Pulse:
        if self._group.world > 1:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def part(self) -> None:
        """Tell that this process ends, and for want of another."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(LOOK_S)
        with suppress(RuntimeError):
            meeting_store(LOOK_S).set(self._key(self._own), PARTED.decode())

    def who_is_missing(self) -> str:
        """Who ended, or did not come to a step, while the others waited, as a sentence; "" where
        that cannot be told."""
        time.sleep(LOOK_S)
        silent = [rank for rank in self._watched if self._silence[rank] >= 2 * BEAT_S]
        if silent := [rank for rank in silent if rank not in self._parted]:
            return f"{self._named(silent)} is gone."
        late = [rank for rank in self._watched if rank not in self._parted]
        return f"{self._named(late)} did not come to its step in time." if late else ""

    def _named(self, ranks: list[int]) -> str:
        world = self._group.world
        named = [f"rank {rank} of {world} on {self._hosts[rank]}" for rank in ranks[:5]]
        more = f" and {len(ranks) - 5} more" if len(ranks) > 5 else ""
        return (", ".join(named) + more).replace("rank", "Rank", 1)

    def _beat(self) -> None:
        """Count up, and look whether the others do."""
        parent = os.getppid() if has_agent() else None
        store: Any = None
        count = 0
        watch = Watch(longest_gap_s=2 * BEAT_S)
        while not self._ended.wait(BEAT_S):
            if parent is not None and os.getppid() != parent:
                parent = None
                os.kill(os.getpid(), signal.SIGTERM)
            try:
                store = store or meeting_store(self._silent_s)
                count += 1
                store.set(self._key(self._own), str(count))
                for rank in self._watched:
                    if store.check([self._key(rank)]):
                        look = partial(self._seen, store, rank)
                        self._silence[rank] = watch.unchanged_s(rank, look)
                self._unanswered_s = 0.0
            except RuntimeError:  # out of reach; a new connection may get there
                store = None

    def _seen(self, store: Any, rank: int) -> bytes:
        """The last beat of another process."""
        seen: bytes = store.get(self._key(rank))
        if seen == PARTED:
            self._parted.add(rank)
        return seen

    def _judge(self) -> None:
        """Say it when it has been too quiet. What this process slept through counts for nothing."""
        before = time.monotonic()
        while not self._ended.wait(BEAT_S):
            now = time.monotonic()
            self._unanswered_s += min(now - before, 2 * BEAT_S)
            before = now
            for_s = f"for {self._silent_s:g} s"
            silent = [rank for rank, s in self._silence.items() if s >= self._silent_s]
            if silent:
                why = "its process is stopped, or its machine or the network to it is gone"
                return self._lost(
                    f"{self._named(silent)} has given no sign of life {for_s}: {why}."
                )
            if self._unanswered_s >= self._silent_s:
                return self._lost(f"Rank {self._own} has reached none of the others {for_s}.")

    def _key(self, rank: int) -> str:
        return f"pulse/{self._prefix}/{rank}"
