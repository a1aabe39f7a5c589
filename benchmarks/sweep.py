"""Wall-clock seconds of a sweep beside the sum of the same runs alone, each at full speed.

Course VAE on MNIST. Alone, a run has every core; in the sweep, two at a time have one thread each.
Both sides start a process a run, read the data and record everything.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.training import ROOT, SHARED


def seconds(arguments: list[str]) -> float:
    """How long `python -m vae_core` takes with these arguments.

    Raises:
        CalledProcessError: when it fails; its own words were printed.
    """
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "vae_core", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def main(
    betas: Annotated[str, typer.Option(help="Values of β.")] = "0.1,0.3,1,3,8,10,30,100",
    epochs: Annotated[int, typer.Option(min=1, help="Of each run.")] = 2,
    limit: Annotated[int | None, typer.Option(help="Training images; else all.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with MNIST.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare a sweep with its runs one after the other."""
    data_dir = (data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")).resolve()
    common = ["--preset", "course-vae", "--data-dir", str(data_dir), "--epochs", str(epochs)]
    common += [] if limit is None else ["--set", f"data.limit={limit}"]
    with tempfile.TemporaryDirectory() as store:
        place = [*common, "--store", store]
        sweep = seconds(["sweep", "--name", "all", "--beta", betas, "--workers", "2", *place])
        alone = [
            seconds(["train", "--run", f"alone-{i}", "--set", f"objective.beta={beta}", *place])
            for i, beta in enumerate(betas.split(","))
        ]
    result = {
        "runs": len(alone),
        "epochs": epochs,
        "sweep_s": round(sweep, 1),
        "alone_s": round(sum(alone), 1),
        "ratio": round(sweep / sum(alone), 2),
    }
    print(json.dumps(result, indent=2) if as_json else f"{result['ratio']} times the sum.")


if __name__ == "__main__":
    typer.run(main)
