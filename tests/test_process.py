"""How a process of ours is set up before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vae_core.process import SPINS

TOLD = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "CUBLAS_WORKSPACE_CONFIG")


def prepared(**environment: str) -> list[str]:
    """What a new process tells its libraries, where a person has set `environment`."""
    code = (
        "import os\nfrom vae_core import process\nprocess.prepare()\n"
        f"print(*(os.environ.get(name, '-') for name in {TOLD}))"
    )
    clean = {name: value for name, value in os.environ.items() if name not in TOLD}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["PASSIVE", str(SPINS), ":4096:8"]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["ACTIVE", "-", ":4096:8"]),
        ({"GOMP_SPINCOUNT": "7"}, ["PASSIVE", "7", ":4096:8"]),
    ],
)
def test_waiting_threads_sleep_soon_unless_a_person_says_otherwise(
    environment: dict[str, str], expected: list[str]
) -> None:
    assert prepared(**environment) == expected


def test_it_comes_before_torch() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(
            [sys.executable, "-c", "import torch\nfrom vae_core import process\nprocess.prepare()"],
            capture_output=True, check=True,
        )  # fmt: skip


def leaves(script: str) -> subprocess.CompletedProcess[str]:
    """A process that ends as a command does, with `script` run before and in it."""
    code = (
        "import atexit, sys\nfrom vae_core.cli.errors import exit_after\n"
        "class Library:\n    def __del__(self): print('unloaded', flush=True)\n"
        "sys.library = Library()\n"  # what a module holds goes when the interpreter is taken down
        f"def command():\n    atexit.register(print, 'cleaned up')\n    {script}\n"
        "exit_after(command)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("print('done')", 0, ""),
        ("from vae_core.errors import UserError; raise UserError('no such run')", 2, "no such run"),
        ("raise ValueError('a defect')", 1, "Traceback"),
    ],
)
def test_a_command_leaves_without_unloading_what_it_has_loaded(
    script: str, status: int, said: str
) -> None:
    done = leaves(script)
    assert (done.returncode, said in done.stderr) == (status, True)
    assert done.stdout.split("\n")[-2] == "cleaned up", "and cleans up all the same"
