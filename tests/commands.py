"""Commands of the command line in the process of a test, where torch has been imported already."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Iterator
from unittest import mock

from vae_core import process
from vae_core.cli import train
from vae_core.cli.app import run
from vae_core.cli.errors import exit_status
from vae_core.errors import UserError
from vae_core.progress import Progress, no_progress
from vae_core.runs import Run


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """It cannot be prepared for torch any more, and no command shall end it."""
    with (
        mock.patch.object(process, "prepare", lambda: None),
        mock.patch.object(train, "watch_worker", lambda *args: None),
    ):
        yield


def vae_core(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m vae_core` with these arguments: exit status, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with in_this_process(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = exit_status(lambda: run(arguments))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def in_this_thread(command: list[str], run: Run, progress: Progress = no_progress) -> None:
    """What `vae_core.child.in_process` does but for the process, whose imports take seconds: for
    pages that have to do with what comes of it. Without `--progress`, which takes over the
    standard output and the priority of the whole process."""
    progress("", None)
    done = vae_core(*command)
    if done.returncode:
        raise UserError(done.stderr.strip())
