"""How long beginning takes: a training from its command, the server, its first page; and the memory
of a training job.

`python -m benchmarks.starting --json`. The goals stand beside the figures: they are those of two
quiet cores. The first page is the gallery, in a browser that is there already, from the moment the
server answers until the live picture is painted.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.training import ROOT, chosen, machine, mnist_folder
from vae_core.runs import Store

GOALS = {"first_step_s": 4.0, "job_mb": 700, "server_s": 2.0, "first_page_s": 2.0}
POLL_S = 0.005
PATIENCE_S = 120


def first_step(data_dir: Path | None) -> dict[str, float]:
    """Seconds from the command that trains on digits until its first step is on record."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        command = [sys.executable, "-m", "vae_core", "train", "--preset", "digits-vae"]
        command += ["--run", "first", "--store", str(store.path), "--set", "train.log_every=1"]
        start = time.perf_counter()
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            try:
                history = store.path / "first" / "history.jsonl"
                while not (history.is_file() and b'"step",' in history.read_bytes()):
                    late = time.perf_counter() - start > PATIENCE_S
                    if late or process.poll() is not None:
                        process.kill()
                        said = process.communicate()[1].decode(errors="replace")
                        raise RuntimeError(f"The training made no step:\n{said[-2000:]}")
                    time.sleep(POLL_S)
                return {"first_step_s": time.perf_counter() - start}
            finally:
                process.kill()


def job_memory(data_dir: Path | None) -> dict[str, float]:
    """The peak of resident memory of an epoch of the course network on MNIST, in 10⁶ bytes."""
    from benchmarks.memory import peaks

    with tempfile.TemporaryDirectory() as folder:
        phases = peaks(mnist_folder(data_dir), Path(folder), "course-vae", [], "mnist")
    return {
        "job_mb": max(phase["peak_mb"] for phase in phases.values()),
        **{f"job_{name}_mb": phase["peak_mb"] for name, phase in phases.items()},
    }


def first_page(data_dir: Path | None) -> dict[str, float]:
    """Seconds until the server answers; and from then until the gallery stands there with its run
    and what can be done with it, and until its live picture is painted, for which torch is
    imported."""
    from playwright.sync_api import sync_playwright

    from benchmarks.app import CHROMIUM, served
    from vae_core.locations import SHIPPED

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        shutil.copytree(SHIPPED / "mnist-vae", Path(folder) / "mnist-vae")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start = time.perf_counter()
        with served(Store(folder)) as (url, _):
            up = time.perf_counter()
            page.goto(url)
            page.get_by_role("button", name="Open in Explore").first.wait_for(
                timeout=1e3 * PATIENCE_S
            )
            stands = time.perf_counter()
            page.locator('[data-testid="decoded-image"].drawn').first.wait_for(
                timeout=1e3 * PATIENCE_S
            )
            seen = time.perf_counter()
        browser.close()
    return {"server_s": up - start, "first_page_s": stands - up, "first_picture_s": seen - up}


PARTS: dict[str, Callable[[Path | None], dict[str, float]]] = {
    "step": first_step,
    "page": first_page,
    "memory": job_memory,
}


def measure(names: list[str], rounds: int, data_dir: Path | None) -> dict[str, Any]:
    """Medians over the rounds, and every single measurement."""
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        for name in names:
            for key, value in PARTS[name](data_dir).items():
                found.setdefault(key, []).append(round(value, 3))
        print(f"round {number + 1}: {found}", file=sys.stderr)
    medians = {key: statistics.median(values) for key, values in found.items()}
    return {**medians, "goals": GOALS, "rounds": found, **machine()}


def main(
    only: Annotated[str, typer.Option(help="Which, by commas.")] = ",".join(PARTS),
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 3,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure what a person waits for at the beginning."""
    result = measure(chosen(only, list(PARTS), "--only"), rounds, data_dir)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for key, goal in GOALS.items():
        if key in result:
            print(f"{key:>13}: {result[key]:7.2f}  (goal {goal:g})")


if __name__ == "__main__":
    typer.run(main)
