"""What can be done with a store that nobody can write; run as a program, as root or not.

`python -m tests.read_only STORE RUN`: mounts STORE read-only in a namespace of its own, runs
commands there, and prints a line of JSON for each.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from vae_core.cli.app import run as run_command
from vae_core.cli.errors import exit_status

MOUNTED = "VAE_TEST_MOUNTED"


def commands(store: str, run: str) -> list[list[str]]:
    encode = ["encode", run, "--split", "train", "--map", "pca"]
    place = str(Path(store).parent / "drawn.png")
    sample = ["sample", run, "--out", place, "-n", "4", "--prior", "gaussian-mixture"]
    plain = [["list"], ["show", run], ["evaluate", run], encode, encode, sample, sample]
    return [*plain, ["export", run, "--to", "csv", "--out", str(Path(store).parent)],
            ["resume", run], ["complete", run]]  # fmt: skip


def main(store: str, run: str) -> None:
    assert os.statvfs(store).f_flag & os.ST_RDONLY
    from vae_core import process

    process.prepare()
    process.prepare = lambda: None  # once for all commands
    for command in commands(store, run):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = exit_status(lambda command=command: run_command([*command, "--store", store]))
        line = {"command": command[0], "status": status, "out": out.getvalue()}
        print(json.dumps(line | {"err": err.getvalue()}), flush=True)


def mount_and_run(store: str, run: str) -> str:
    """The output of this program in a namespace of its own."""
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && '
        f'exec "{sys.executable}" -m tests.read_only "$1" "$2"'
    )
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", store, run]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
