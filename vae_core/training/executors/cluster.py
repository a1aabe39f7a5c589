"""Runs on the machines of a Ray cluster; see `vae_core/training/cluster/`."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

from vae_core.config import RunConfig
from vae_core.errors import LeaseLost, UserError
from vae_core.runs import Folder, Run, Store
from vae_core.runs.lease import Lease
from vae_core.runs.process import silence_s
from vae_core.training.control import ControlFile, control_size, send
from vae_core.training.executors.executor import Share, executors

if TYPE_CHECKING:
    from vae_core.training.cluster.mirror import Mirror

ROOM_EVERY_S = 3.0
"""Between two questions of how many machines there are."""


@executors.register("ray", label="a cluster", blurb="Machines that Ray looks after.", order=10)
class Cluster:
    """See `Executor`. Each run that is at work has a mirror, in a thread of this process."""

    def __init__(self, address: str, share: Share) -> None:
        from vae_core.training.cluster.over_ray import RayCluster
        from vae_core.training.cluster.placed import RAY, require_address

        named = require_address(address)
        self._share = share
        self._cluster = RayCluster(None if named == RAY else named)
        self._mirrors: dict[threading.Thread, Mirror] = {}
        self._room, self._asked_at = 0, 0.0

    def capacity(self) -> int | None:
        from vae_core.training.cluster.mirror import Away

        if not self._asked_at or time.monotonic() - self._asked_at > ROOM_EVERY_S:
            try:
                self._room = self._cluster.room(self._share.cpus or 1.0, self._share.gpus)
            except Away:
                self._room = 0
            self._asked_at = time.monotonic()
        return self._room

    def threads(self, together: int) -> int | None:
        from vae_core.training.cluster.placed import threads_of

        return threads_of(self._share)

    def submit(
        self, store: Store, name: str, config: RunConfig, owner: Folder | None = None
    ) -> Run:
        from vae_core.training import jobs  # imports torch
        from vae_core.training.cluster.placed import put_on_cluster

        run = jobs.create(store, name, config)
        try:
            put_on_cluster(run, self._share)
            self._follow(run, owner)
        except UserError:
            shutil.rmtree(run.path, ignore_errors=True)
            raise
        return run

    def resume(self, run: Run, owner: Folder | None = None) -> None:
        from vae_core.training import jobs
        from vae_core.training.cluster.placed import placement_of, put_on_cluster

        run.config_to_train()
        if run.is_alive():
            send(run, {"command": "resume"})
            return
        jobs.require_more(run, None)
        if placement_of(run) is None:
            put_on_cluster(run, self._share)
        self._follow(Run(run.path), owner)

    def close(self) -> None:
        for mirror in self._mirrors.values():
            mirror.leave()
        for thread in self._mirrors:
            thread.join(2.0)

    def _follow(self, run: Run, owner: Folder | None) -> None:
        """Hold the run and mirror it, from now on. One that has an owner is ended in its place
        where this process, and with it the owner, has been silent for as long as tells others that
        it is dead."""
        from vae_core.training.cluster.mirror import Mirror

        offset, before = control_size(run), run.status()
        lease = run.claim(os.getpid())
        try:
            update = {"state": "starting", "message": "", "acceptable": False}
            run.set_status(before.model_copy(update=update))
            needed_s = None if owner is None else silence_s()
            control = ControlFile(run, offset)
            mirror = Mirror(run, self._cluster, control, needed_s=needed_s)
        except LeaseLost:
            raise
        except UserError:
            lease.release()
            raise
        lease.keep()
        thread = threading.Thread(target=_mirrored, args=(mirror, lease), daemon=True)
        self._mirrors = {each: of for each, of in self._mirrors.items() if each.is_alive()}
        self._mirrors[thread] = mirror
        thread.start()


def _mirrored(mirror: Mirror, lease: Lease) -> None:
    try:
        mirror.follow()
    except LeaseLost:
        return  # whoever has it now writes what becomes of it
    except UserError as error:  # it is in the status
        print(f"{mirror.run.title}: {error}", flush=True)
    finally:
        lease.release()
