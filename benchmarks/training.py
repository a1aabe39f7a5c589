"""Images/s of training the course VAE on MNIST: this project's worker beside a tutorial's loop.

Whole epochs, batch 512, validation and recording on in both. Each measurement has a process of
its own, with the settings that each side really runs with; the two sides take turns, so that a
machine that slows down slows both.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
TRAINING_IMAGES = 60_000
SIDES = ("workbench", "tutorial")


def images_per_s(side: str, data_dir: Path, epochs: int) -> float:
    """Train one side in a fresh process; training images over the seconds of whole epochs.

    Raises:
        SystemExit: when that process fails; its own words were printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{side}_loop", str(data_dir), folder, str(epochs)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"The {side} side failed; what it said is above.")
    seconds: float = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return epochs * TRAINING_IMAGES / seconds


def compare(data_dir: Path, epochs: int, rounds: int) -> dict[str, Any]:
    """Medians over `rounds`, every single measurement, and the median of the rounds' ratios."""
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            speeds[side].append(images_per_s(side, data_dir, epochs))
            print(f"round {number + 1}: {side} {speeds[side][-1]:,.0f} images/s", file=sys.stderr)
    ratios = [ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)]
    return {
        "workload": "course-vae on MNIST, batch 512, whole epochs with validation and recording",
        **{f"{side}_images_per_s": round(statistics.median(speeds[side])) for side in SIDES},
        "ratio": round(statistics.median(ratios), 2),
        "rounds": {side: [round(speed) for speed in speeds[side]] for side in SIDES},
        "epochs": epochs,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def main(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Whole epochs in each measurement.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the speed of training with a tutorial-style loop."""
    data_dir = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    if not (data_dir / "MNIST" / "raw").is_dir():
        print(
            f"error: there is no MNIST in {data_dir}; name its folder with --data-dir, or let "
            "`python -m vae_core train --preset course-vae` download it into data.",
            file=sys.stderr,
        )
        raise SystemExit(2)
    result = compare(data_dir.resolve(), epochs, rounds)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        ours, theirs = (result[f"{side}_images_per_s"] for side in SIDES)
        print(f"{ours:,} images/s against {theirs:,}: {result['ratio']} times as fast.")


if __name__ == "__main__":
    typer.run(main)
