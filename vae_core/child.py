"""Work in a process beside this one, for what would make a server stand still, such as t-SNE."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psutil

from vae_core.data import Progress, no_progress
from vae_core.errors import UserError
from vae_core.locations import STORE_VARIABLE, module_command, module_environment
from vae_core.process import PARENT_VARIABLE
from vae_core.progress import with_heartbeat
from vae_core.runs import Run, layout

MAX_LINES = 200

log = logging.getLogger(__name__)


def in_process(command: list[str], run: Run, progress: Progress = no_progress) -> None:
    """Run `python -m vae_core COMMAND RUN … --progress` beside this process, niced, and wait.

    The result lies in the run, or in the user's cache where the run cannot be written. When
    `progress` raises, the process is killed; when this process ends, so does it. When it fails,
    what it wrote to its standard error comes into the run's log.

    Raises:
        UserError: what the process says a person can mend; else the last line of its traceback.
    """
    told = {
        STORE_VARIABLE: str(run.path.parent),
        PARENT_VARIABLE: str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        module_command("vae_core", *command, "--progress"),
        env=module_environment(**told),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    written: deque[str] = deque(maxlen=MAX_LINES)
    reader = threading.Thread(target=lambda: written.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        problem = with_heartbeat(lambda report: _follow(process.stdout or (), report), progress)
        process.wait()
    finally:  # where the progress has raised, nobody waits for it any more
        _kill(process)
        reader.join(1.0)
    if process.returncode:
        _log(run, f"{shlex.join(command)} failed:\n{''.join(written)}")
        last = written[-1].strip() if written else "it was killed."
        raise UserError(problem or f"The work ended before it was done: {last}")


def _follow(lines: Iterable[str], report: Progress) -> str:
    """Report how far it is until it ends; the problem that it names, "" without one."""
    message, share, problem = "", None, ""
    report(message, share)
    for answer in map(_parse, lines):
        problem = str(answer.get("error", problem))
        message, share = str(answer.get("message", message)), answer.get("share", share)
        report(message, share if isinstance(share, float) else None)
    return problem


def _parse(line: str) -> dict[str, Any]:
    """An answer; {} for what a library printed."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and those that it has started."""
    if process.poll() is not None:
        return
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    process.kill()
    process.wait()


def _log(run: Run, text: str) -> None:
    """Append to the run's log; where it cannot or may not be written, to that of this process."""
    if run.shipped:
        log.error("%s: %s", run.id, text)
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, no pipe
    try:
        with os.fdopen(os.open(run.file(layout.LOG), flags, 0o666), "a") as file:
            file.write(text.rstrip("\n") + "\n")
    except OSError:
        log.error("%s: %s", run.id, text)
