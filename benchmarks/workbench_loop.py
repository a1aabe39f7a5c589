"""This project's side of the training benchmark: the worker, as `train` and the app run it.

Everything a run records is on: history, status, previews, validation, checkpoints, encodings.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vae_core import process
from vae_core.runs import Store

if TYPE_CHECKING:
    from vae_core.training.events import Event
    from vae_core.training.recorders import Recorder


class Stopwatch:
    """Listens to the loop and keeps the time between its first event and its last."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0

    def __call__(self, event: Event) -> None:
        self.last = time.perf_counter()
        if self.first is None:
            self.first = self.last

    def listeners(self, total_steps: int, first_step: int) -> Iterable[Recorder]:
        """What the worker asks for: one listener, itself."""
        return (self,)

    @property
    def seconds(self) -> float:
        """From before the first step until after the last record."""
        return self.last - (self.first or self.last)


def train(data_dir: str, folder: Path, epochs: int) -> float:
    """Train for `epochs` in a store inside `folder`; the seconds from first step to last record."""
    from vae_core.families import complete
    from vae_core.presets import presets
    from vae_core.training.worker import work

    config = presets["course-vae"].config
    changes = {"data": {"data_dir": data_dir}, "train": {"epochs": epochs}}
    run = Store(folder).create("bench", complete(config.updated(changes)))
    watch = Stopwatch()
    work(run, watch.listeners)
    return watch.seconds


if __name__ == "__main__":
    process.prepare()
    print(json.dumps({"seconds": train(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))}))
