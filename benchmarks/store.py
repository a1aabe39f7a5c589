"""Seconds to open a store of many runs: the first time in a fresh process, and again.

The runs are copies of a shipped one; their weights are one file under many names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "trained_models" / "mnist-vae"
FILES = ("config.json", "data.json", "environment.json", "status.json", "summary.json")
WEIGHTS = "model.safetensors"

OPEN = """
import json, sys, time
from latent_workbench.shared.catalog import catalog
from vae_core.runs import Store
store, seconds = Store(sys.argv[1]), []
for _ in range(5):
    start = time.perf_counter()
    found = catalog(store)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"runs": len(found), "first": seconds[0], "again": min(seconds[1:])}))
"""


def fill(store: Path, runs: int) -> None:
    """Copies of one run. They share the weights, of which a list reads the head."""
    weights = store / "weights"
    shutil.copy(SHIPPED / WEIGHTS, weights)
    for number in range(runs):
        folder = store / f"run-{number:03d}"
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copy(SHIPPED / name, folder)
        os.link(weights, folder / WEIGHTS)
    weights.unlink()


def opening(store: Path) -> dict[str, float]:
    """Seconds to list a store in a fresh process: the first time, again, and the process whole."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(store)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {**json.loads(done.stdout), "process": time.perf_counter() - start}


def main(
    runs: Annotated[int, typer.Option(min=1, help="How many runs the store has.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how long a list of many runs takes."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), runs)
        result = opening(Path(folder))
    if as_json:
        print(json.dumps({key: round(value, 4) for key, value in result.items()}, indent=2))
    else:
        print(f"{runs} runs: {result['first']:.2f} s, then {result['again']:.3f} s.")


if __name__ == "__main__":
    typer.run(main)
