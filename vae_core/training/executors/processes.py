"""Runs as processes of this machine, which outlive whoever starts them."""

from __future__ import annotations

from vae_core.config import RunConfig
from vae_core.process import cores
from vae_core.runs import Folder, Run, Store
from vae_core.training.executors.executor import HERE, Share, executors


@executors.register(HERE, label="this machine", blurb="A process for each run.", order=0)
class Processes:
    """See `Executor`. Processes share the machine; nobody keeps them within their shares."""

    def __init__(self, address: str, share: Share) -> None:
        self._share = share

    def capacity(self) -> int | None:
        return None

    def threads(self, together: int) -> int | None:
        """The cores shared out: two runs of one thread do together what one does with two."""
        if self._share.cpus is None and together == 1:
            return None
        return max(1, int(self._share.cpus or cores() // together))

    def submit(
        self, store: Store, name: str, config: RunConfig, owner: Folder | None = None
    ) -> Run:
        from vae_core.training import jobs  # imports torch

        return jobs.start(store, name, config, owner=owner)

    def resume(self, run: Run, owner: Folder | None = None) -> None:
        from vae_core.training import jobs

        jobs.resume(run, owner=owner)

    def close(self) -> None:
        pass
