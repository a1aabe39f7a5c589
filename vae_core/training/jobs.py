"""Background processes: start, resume, send messages. They outlive browser and server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vae_core.config import RunConfig
from vae_core.errors import LeaseLost, UserError
from vae_core.families import complete
from vae_core.locations import STORE_VARIABLE, module_command, module_environment
from vae_core.runs import Folder, Run, Store, layout
from vae_core.runs.atomic import open_to_append
from vae_core.runs.lease import TOKEN_VARIABLE
from vae_core.training.cluster.placed import address_to_resume, put_on_cluster
from vae_core.training.continuation import continued
from vae_core.training.control import control_size, send
from vae_core.training.device import choose_device, room_for
from vae_core.training.executors import Share
from vae_core.training.initial import take_weights
from vae_core.training.trackers import require_trackers

__all__ = ["create", "require_more", "resume", "send", "spawn", "start"]


def start(
    store: Store,
    name: str,
    config: RunConfig,
    processes: int = 1,
    owner: Folder | None = None,
    share: Share | None = None,
) -> Run:
    """Create a run and train it in a process of its own, or in several.

    Args:
        owner: a folder; the run stops once nobody works on it any more.
        share: what it takes of a machine of the cluster that is known here; None trains it on this
            machine.

    Raises:
        UserError: when the configuration is invalid, the name is taken, or nothing can be written.
    """
    run = create(store, name, config)
    try:
        if share is not None:
            put_on_cluster(run, share)
        options = _on(address_to_resume(run)) + _owned(owner)
        _launch(run, options, processes=processes)
    except UserError:
        shutil.rmtree(run.path, ignore_errors=True)  # it never began: its name is free again
        raise
    return run


def create(store: Store, name: str, config: RunConfig) -> Run:
    """Create a run, with the weights that it starts from where it starts from some.

    Raises:
        UserError: when the configuration is invalid, a tracker is unknown or not installed, there
            is no such run to start from, its weights do not fit, the name is taken, or nothing can
            be written.
    """
    require_trackers(config.train.track)
    source = None if config.start_from is None else store.get(config.start_from)
    run = store.create(name, complete(config))
    try:
        if source is not None:
            take_weights(run, source)
    except UserError:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def resume(
    run: Run,
    accept_changed_data: bool = False,
    epochs: str | None = None,
    beta: float | None = None,
    owner: Folder | None = None,
    processes: int | None = None,
    on: str | None = None,
) -> None:
    """Go on with a run that was stopped, interrupted or failed, or wake a paused one; train on one
    that is finished.

    Where its images are not as they were, its process refuses and says so in the status, unless
    the images as they are now are accepted.

    Args:
        epochs: how many it is to go on for, see `continued`; a finished run needs some.
        beta: its β from now on, set as by hand.
        owner: as of `start`.
        processes: how many train it; None for as many as last time, see `processes_of`.
        on: where, see `address_to_resume`; None goes on where it was.

    Raises:
        UserError: when it is finished and shall have no more epochs, its configuration is damaged,
            it was on a cluster and none is known, or nothing can be written.
    """
    run.config_to_train()
    if run.is_alive():
        if run.remote_host() and run.status().state != "paused":
            raise UserError(run.busy_message())
        send(run, {"command": "resume"})
        return
    require_more(run, epochs)
    options = _on(address_to_resume(run, on)) + _owned(owner)
    options += ["--accept-changed-data"] if accept_changed_data else []
    if epochs is not None:
        options += ["--epochs", epochs]
    messages = [] if beta is None else [{"command": "set", "name": "beta", "value": beta}]
    there = "--on" in options
    _launch(run, options, messages, 1 if there else processes or processes_of(run))


def processes_of(run: Run) -> int:
    """How many processes trained a run last, as far as there is room for them here: it goes on in
    as many."""
    environment = run.environment()
    last = {"processes": environment.processes} | (environment.resumed or [{}])[-1]
    try:
        room = room_for(choose_device(run.config().train.device).type)
    except UserError:  # the worker says it
        return 1
    trained = last["processes"]
    return max(1, min(trained, room)) if isinstance(trained, int) else 1


def require_more(run: Run, epochs: str | None) -> None:
    """Refuse to go on with a run that has nothing more to do.

    Raises:
        UserError: saying what it could be given.
    """
    if epochs is not None:
        continued(run, epochs)
    elif run.status().state == "finished":
        raise UserError(
            f"Run {run.id!r} is finished; there is nothing to resume. Train it on for more epochs.",
            shell="--epochs +10",
        )


def spawn(folder: Folder, command: list[str], store: Path) -> None:
    """Start `python -m vae_core` with `command` in the background; it writes into the folder's log.

    The process is the leader of a session of its own, so it outlives whoever starts it. The lease
    of the folder is its own from then on. A UserError when another process works there, or when
    nothing can be written.
    """
    # Until there is a process id this process has it, so that nobody sees the folder as dead.
    lease = folder.lease or folder.claim(os.getpid())
    variables = {
        STORE_VARIABLE: str(store),
        TOKEN_VARIABLE: lease.job.token,
        "PYTHONUNBUFFERED": "1",
    }
    try:
        with open_to_append(folder.file(layout.LOG)) as log:
            process = subprocess.Popen(
                module_command("vae_core", *command),
                env=module_environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        lease.release()
        raise UserError(
            f"No process could be started for {folder.kind} {folder.id!r}: "
            f"{error.strerror or error}."
        ) from error
    lease.hand_over(process.pid)


def _on(address: str | None) -> list[str]:
    return [] if address is None else ["--on", address]


def _owned(owner: Folder | None) -> list[str]:
    return [] if owner is None else ["--owner", str(owner.path)]


def _launch(
    run: Run,
    options: Sequence[str] = (),
    messages: Sequence[dict[str, object]] = (),
    processes: int = 1,
) -> None:
    if processes > 1:
        options = [*options, "--processes", str(processes)]
    offset, before = control_size(run), run.status()
    lease = run.claim(os.getpid())
    update = {"state": "starting", "message": "", "acceptable": False}
    try:
        for message in messages:
            send(run, message)
        run.set_status(before.model_copy(update=update))
        spawn(run, ["work", run.id, "--heard", str(offset), *options], run.path.parent)
    except LeaseLost:
        raise
    except UserError:
        lease.release()
        with suppress(UserError):
            run.set_status(before)
        raise
