"""What was read of the runs used last, read again when the file it came from has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from vae_core.runs import Run

T = TypeVar("T")


class RunCache(Generic[T]):
    """At most `size` things, each keyed by its run and the version of the file `name`."""

    def __init__(self, load: Callable[[Run], T], name: str, size: int) -> None:
        self._load = load
        self._name = name
        self._size = size
        self._entries: OrderedDict[tuple[str, int | None], T] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, run: Run) -> T | None:
        """What is known of the run as it is now; None when it has to be loaded. Never blocks."""
        key = self._key(run)
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def get(self, run: Run) -> T:
        """What is known of the run as it is now, loaded where need be, one at a time.

        Raises:
            UserError: as the function that loads.
        """
        with self._loading:  # sixteen clients that come at once load one model, not sixteen
            cached = self.peek(run)
            if cached is not None:
                return cached
            key = self._key(run)
            loaded = self._load(run)
            with self._lock:
                # An older version of the same run will not be asked for again.
                for old in [old for old in self._entries if old[0] == key[0]]:
                    del self._entries[old]
                self._entries[key] = loaded
                while len(self._entries) > self._size:
                    self._entries.popitem(last=False)
            return loaded

    def _key(self, run: Run) -> tuple[str, int | None]:
        return str(run.path), run.version(self._name)
