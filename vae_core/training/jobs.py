"""Background processes: start, resume, tell. They outlive the browser and the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.runs import STORE_VARIABLE, Run, Store
from vae_core.training.control import FILE as CONTROL
from vae_core.training.control import send

__all__ = ["resume", "send", "start"]

ROOT = Path(__file__).resolve().parents[2]


def start(store: Store, name: str, config: RunConfig) -> Run:
    """Create a run and train it in a process of its own.

    Raises:
        UserError: when the configuration is invalid, the name is taken, or nothing can be written.
    """
    run = store.create(name, complete(config))
    _launch(run)
    return run


def resume(run: Run) -> None:
    """Go on with a run that was stopped, interrupted or failed, or wake a paused one.

    Raises:
        UserError: when it is finished, or its configuration is damaged.
    """
    run.config()
    if run.is_alive():
        send(run, {"command": "resume"})
        return
    if run.status().state == "finished":
        raise UserError(f"Run {run.id!r} is finished; there is nothing to resume.")
    _launch(run)


def _launch(run: Run) -> None:
    run.file(CONTROL).unlink(missing_ok=True)  # what was said to an earlier worker
    run.claim(os.getpid())  # until the worker has a process id, so that nobody sees it as dead
    run.set_status(run.status().model_copy(update={"state": "starting", "message": ""}))
    environment = os.environ | {STORE_VARIABLE: str(run.path.parent), "PYTHONUNBUFFERED": "1"}
    with run.file("log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vae_core", "work", run.id],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    run.claim(process.pid)
