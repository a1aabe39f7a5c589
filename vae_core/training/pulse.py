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

from vae_core.runs.process import Watch, silence_s
from vae_core.training.attempts import meeting_store
from vae_core.training.distributed import Distributed

BEAT_S = 0.3
LOOK_S = 3 * BEAT_S
"""After so long without a beat of it a process is named, once it is known that one is gone."""

Say = Callable[[str], None]


class Pulse:
    """The beat of this process, and what it sees of the others; to be entered.

    A process whose parent, the agent that started it, has died is asked to stop, as by SIGTERM.
    """

    def __init__(self, group: Distributed, lost: Say) -> None:
        """`lost`: called from a thread with a sentence, once another process has been silent, or
        the store out of reach, for as long as a lease's holder may be (`VAE_SILENT_S`)."""
        self._distributed, self._lost, self._silent_s = group, lost, silence_s()
        self._hosts = group.gather(socket.gethostname())
        self._prefix = group.broadcast(secrets.token_hex(8))
        self._own = group.rank
        self._watched = [0] if self._own else list(range(1, group.world))
        self._silence = dict.fromkeys(self._watched, 0.0)
        self._unanswered_s = 0.0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=task, name=task.__name__.strip("_"), daemon=True)
            for task in (self._beat, self._judge)
        ]

    def __enter__(self) -> Pulse:
        if self._distributed.world > 1:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def who_is_silent(self) -> str:
        """Who does not beat now, as the beginning of a sentence; "" where all do. Waits for some
        beats."""
        time.sleep(LOOK_S + BEAT_S)
        return self._names(LOOK_S)

    def _names(self, silent_s: float) -> str:
        silent = [rank for rank, seconds in self._silence.items() if seconds >= silent_s]
        named = [f"rank {r} of {self._distributed.world} on {self._hosts[r]}" for r in silent[:5]]
        more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
        return (", ".join(named) + more).capitalize()

    def _beat(self) -> None:
        """Count up, and look whether the others do."""
        store, count, parent = None, 0, os.getppid()
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
                        seen = store.get(self._key(rank))
                        self._silence[rank] = watch.unchanged_s(rank, lambda seen=seen: seen)
                self._unanswered_s = 0.0
            except RuntimeError:  # out of reach; a new connection may get there
                store = None

    def _judge(self) -> None:
        """Say it when it has been too quiet. What this process slept through counts for nothing."""
        before = time.monotonic()
        while not self._ended.wait(BEAT_S):
            now = time.monotonic()
            self._unanswered_s += min(now - before, 2 * BEAT_S)
            before = now
            for_s = f"for {self._silent_s:g} s"
            if names := self._names(self._silent_s):
                why = "its process is stopped, or its machine or the network to it is gone"
                return self._lost(f"{names} has given no sign of life {for_s}: {why}.")
            if self._unanswered_s >= self._silent_s:
                return self._lost(f"Rank {self._own} has reached none of the others {for_s}.")

    def _key(self, rank: int) -> str:
        return f"pulse/{self._prefix}/{rank}"
