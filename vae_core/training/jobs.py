"""Background processes: start, resume, tell. They outlive the browser and the server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.runs import STORE_VARIABLE, Folder, Run, Store
from vae_core.training.control import said_so_far, send

__all__ = ["resume", "send", "spawn", "start"]

ROOT = Path(__file__).resolve().parents[2]


def start(store: Store, name: str, config: RunConfig) -> Run:
    """Create a run and train it in a process of its own.

    Raises:
        UserError: when the configuration is invalid, the name is taken, or nothing can be written.
    """
    run = store.create(name, complete(config))
    _launch(run)
    return run


def resume(run: Run, accept_changed_data: bool = False) -> None:
    """Go on with a run that was stopped, interrupted or failed, or wake a paused one.

    Where its images are not as they were, its process refuses and says so in the status, unless
    the images as they are now are accepted.

    Raises:
        UserError: when it is finished, or its configuration is damaged.
    """
    run.config_to_train()
    if run.is_alive():
        send(run, {"command": "resume"})
        return
    if run.status().state == "finished":
        raise UserError(f"Run {run.id!r} is finished; there is nothing to resume.")
    _launch(run, ["--accept-changed-data"] if accept_changed_data else [])


def spawn(folder: Folder, command: list[str], store: Path) -> None:
    """Start `python -m vae_core` with `command` in the background; it writes into the folder's log.

    The process is the leader of a session of its own, so it outlives whoever starts it.
    """
    folder.claim(os.getpid())  # until it has a process id, so that nobody sees the folder as dead
    environment = os.environ | {STORE_VARIABLE: str(store), "PYTHONUNBUFFERED": "1"}
    with folder.file("log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vae_core", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    folder.claim(process.pid)


def _launch(run: Run, options: Sequence[str] = ()) -> None:
    heard = said_so_far(run)
    run.claim(os.getpid())
    said = {"state": "starting", "message": "", "acceptable": False}
    run.set_status(run.status().model_copy(update=said))
    spawn(run, ["work", run.id, "--heard", str(heard), *options], run.path.parent)
