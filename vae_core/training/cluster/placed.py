"""That a run is to be trained on a cluster, and on which.

The run keeps what it takes of a machine, and a name for its work. The address comes from whoever
starts it, each time: from the command, or from RAY_ADDRESS, Ray's own variable.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from importlib.util import find_spec

from vae_core.errors import UserError
from vae_core.progress import Progress, with_heartbeat
from vae_core.runs import Run, Status, layout
from vae_core.runs.migrations import to_store
from vae_core.runs.schemas import Placement
from vae_core.training.cluster.mirror import Away, Cluster, Gone, Mirror, place_name
from vae_core.training.control import WorkerControl
from vae_core.training.executors import HERE, Share

RAY = "ray"
"""The address of the cluster that RAY_ADDRESS names, or that this machine is part of."""

ADDRESS_VARIABLE = "RAY_ADDRESS"

RECALL_S = 20.0
"""Longest that a cluster is asked to end what it does of a run that goes on here."""

_ADDRESS = re.compile(r"ray(://[^/\s:]+:[0-9]{1,5})?")


def require_address(text: str) -> str:
    """The address itself. A UserError where it is none of a cluster."""
    if _ADDRESS.fullmatch(text):
        return text
    raise UserError(
        f"{text!r} is no address of a cluster; write ray, or ray://HOST:10001, or here for this "
        "machine."
    )


def by_name(on: str) -> str:
    """The place that somebody chose, without its address, which no folder keeps: this process and
    those that it starts have it from RAY_ADDRESS. A UserError where it is none of a cluster."""
    if not on.startswith(f"{RAY}:"):
        return on
    os.environ[ADDRESS_VARIABLE] = require_address(on)
    return RAY


def unavailable() -> str:
    """Why no cluster can be used from here without naming one, in a sentence; "" where one can."""
    if find_spec("ray") is None:
        return "Ray is not installed here; it is what takes runs to a cluster."
    if not os.environ.get(ADDRESS_VARIABLE):
        return f"No cluster is known here: {ADDRESS_VARIABLE} names none."
    return ""


def placement_of(run: Run) -> Placement | None:
    """What the run takes of a cluster's machine; None where it is trained on this machine, or what
    it says of that cannot be read."""
    with suppress(UserError):
        if run.has(layout.PLACEMENT):
            return run.parse(layout.PLACEMENT, Placement)
    return None


def put_on_cluster(run: Run, share: Share) -> None:
    """From now on the run is trained on a cluster, where it takes this share of a machine: one CPU
    where it names none. A UserError when that cannot be written."""
    config = run.config()
    if config.train.threads is None:
        config = config.updated({"train": {"threads": threads_of(share)}})
        run.write_json(layout.CONFIG, to_store(config))
    placement = Placement(id=secrets.token_hex(16), cpus=share.cpus or 1.0, gpus=share.gpus)
    run.write_json(layout.PLACEMENT, placement)


def threads_of(share: Share) -> int:
    """The threads of a run that takes this share."""
    return max(1, int(share.cpus or 1))


def address_for(on: str) -> str | None:
    """The address of a cluster; None for this machine. A UserError where it is neither."""
    return None if on == HERE else require_address(on)


def address_to_resume(run: Run, on: str | None = None) -> str | None:
    """Where to go on with a run, as `address_for`: at `on`, else where it was. A UserError when
    that was a cluster, and none is known here."""
    placement = placement_of(run)
    if on is not None:
        address = address_for(on)
        if address is not None and placement is None:
            put_on_cluster(run, Share())
        return address
    if placement is None:
        return None
    if why := unavailable():
        raise UserError(
            f"{run.title} is trained on a cluster. {why} Name it, or go on with the run on this "
            "machine.",
            shell="--on ray://HOST:10001 or --on here",
        )
    return RAY


def connect(address: str, progress: Progress) -> Cluster:
    """The cluster at an address; `progress` is called while it is asked. A UserError when none
    answers, or Ray is not installed."""

    def ask(report: Progress) -> Cluster:
        report("Connecting to the cluster", None)
        from vae_core.training.cluster.over_ray import RayCluster

        return RayCluster(None if address == RAY else address)

    return with_heartbeat(ask, progress)  # in a thread, as Ray takes the main one's signals


def recall(run: Run, progress: Progress) -> str:
    """Have a run on this machine from now on, and end what a cluster still does of it; for whoever
    holds the run. What came back stays; what is done there from now on would come to nobody.

    Returns:
        What became of that, in a sentence; "" for a run that was on this machine before.
    """
    placement = placement_of(run)
    if placement is None:
        return ""
    until = time.monotonic() + RECALL_S

    def patient(message: str, share: float | None) -> None:
        if time.monotonic() > until:
            raise UserError(f"It has not answered for {RECALL_S:.0f} s.")
        progress(message, share)

    def end(report: Progress) -> None:
        cluster = connect(RAY, report)
        report("Ending what the cluster does of this run", None)
        remote = cluster.find(place_name(run, placement))
        if remote is not None:
            remote.end()
        cluster.leave()

    why = unavailable().rstrip(".")
    if not why:
        try:
            with_heartbeat(end, patient)
        except Gone:
            pass  # its machine is no more
        except (UserError, Away) as error:
            why = str(error).rstrip(".")
    run.file(layout.PLACEMENT).unlink(missing_ok=True)
    if not why:
        return "Goes on on this machine; the cluster does nothing of this run any more."
    return (
        f"What the cluster does of this run could not be ended: {why}. It trains there "
        "until it is done, and nothing of that comes here: this run is trained on this machine "
        "alone."
    )


def train_on_cluster(
    run: Run, address: str, control: WorkerControl, progress: Progress, options: list[str]
) -> Status:
    """Have a run trained on the cluster at `address`, and write down here what becomes of it; its
    last status. For a process that holds the run.

    Raises:
        LeaseLost: when the run is deleted or taken over meanwhile.
        UserError: what a person can mend, such as that no cluster answers.
    """
    before = run.status()

    def say(message: str, share: float | None) -> None:
        progress(message, share)
        run.check_lease()

    run.set_status(before.model_copy(update={"state": "starting", "message": "", "step": 0}))
    try:
        cluster = connect(require_address(address), say)
    except UserError as error:
        run.set_status(before.model_copy(update={"state": "interrupted", "message": str(error)}))
        raise
    control.started = True
    control.saving = lambda: True  # what a stop leaves has to come back
    return Mirror(run, cluster, control, progress, options).follow()
