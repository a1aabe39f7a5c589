"""A worker that may take only so much more memory, run as a program.

`python -m tests.short_of_memory STORE NAME BACKBONE BATCH MEGABYTES EVENT` trains a run; from the
event of that name on (or "begin", before the first step) its process may have as many megabytes
more than it has by then: a limit of the system's, so what is refused is really refused.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from typing import Any

import psutil

from tests.engine import tiny
from vae_core.errors import UserError
from vae_core.runs import Store
from vae_core.training.worker import work

OPTIONS: dict[str, dict[str, Any]] = {
    "conv": {"channels": [32, 32], "hidden": 32},
    "mlp": {"hidden": [2048]},
}


def main(store: str, name: str, backbone: str, batch: str, megabytes: str, event: str) -> None:
    """Train, and print what is said of it."""

    def limit() -> None:
        most = psutil.Process().memory_info().vms + int(megabytes) * 10**6
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def listeners(total: int, first: int) -> Iterable[Any]:
        if event == "begin":
            limit()
        return [lambda told: limit() if type(told).__name__ == event else None]

    run = Store(store).create(
        name,
        tiny(
            data={"image_size": 64, "limit": 1500},
            model={"backbone": backbone, "options": OPTIONS[backbone]},
            train={"epochs": 1, "batch_size": int(batch), "preview_every": 1000},
        ),
    )
    try:
        work(run, listeners)
        print("finished")
    except UserError as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
