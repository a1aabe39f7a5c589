"""Another host on this machine: its own process ids and name, over the same files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OTHER = "otherhost"


def on_other_host(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Run Python code on `OTHER`; when it ends or is killed, all that it started ends with it."""
    entered = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    named = ["sh", "-c", f'hostname {OTHER} && exec "$@"', "sh"]
    return subprocess.Popen(
        [*entered, *named, sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


TRAINS = """
import sys
from tests.engine import tiny
from vae_core.runs import Store
from vae_core.training import jobs
long = {"epochs": 5000, "preview_every": 9999}
run = jobs.start(Store(sys.argv[1]), sys.argv[2], tiny(train=long))
print("started", flush=True)
sys.stdin.readline()
"""
"""Code that starts a run in the background, as the app does, and waits for a line."""
