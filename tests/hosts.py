"""Another host on this machine: process ids and a name of its own, over the same files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
OTHER = "otherhost"


def on_other_host(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Run Python with `arguments` on `OTHER`; what it starts ends with it."""
    entered = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    named = ["sh", "-c", f'hostname {OTHER} && exec "$@"', "sh"]
    return subprocess.Popen(
        [*entered, *named, sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(process: subprocess.Popen[str]) -> None:
    """Wait for its first line.

    Raises:
        AssertionError: with what it said, where it ended instead.
    """
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    assert line, f"the other host does not work: {process.stderr.read()}"


def ended(process: subprocess.Popen[str]) -> None:
    """Kill it with all that it started, as when a container is removed."""
    process.kill()
    process.communicate(timeout=30)


def inside(process: subprocess.Popen[str]) -> psutil.Process:
    """The Python process on the other host, by the process id that it has on this one."""
    (found,) = psutil.Process(process.pid).children()
    return found
