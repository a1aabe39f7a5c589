"""Resident memory of training on a folder of many images, by phase, up to its highest point.

The real command line trains in a process of its own, from image files that nobody has prepared to
the summary of the finished run; psutil samples its resident set from outside. That counts all:
the code of libraries, what was allocated, and those pages of the prepared images that are mapped at
the moment.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from PIL import Image

from vae_core.data import StoredImages
from vae_core.data.npy import IMAGES
from vae_core.runs import DataCard, Run

ROOT = Path(__file__).resolve().parent.parent
SIDE = 64
A_FOLDER = 1000
SAMPLE_EVERY_S, LOOK_EVERY_S = 0.01, 0.05
"""Phases: preparing (up to the first step, imports included), training, finishing (validation,
encodings, directions, summary), leaving."""


def draw_folder(root: Path, number: int, count: int) -> None:
    """Write `count` PNGs 64×64×3, a disc of one colour on another, into one folder of `root`."""
    folder = root / f"{number:04d}"
    folder.mkdir()
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:SIDE, :SIDE]
    for i in range(count):
        row, column, radius = rng.uniform((16, 16, 5), (48, 48, 15))
        disc = np.hypot(y - row, x - column) < radius
        inside, outside = rng.integers(0, 256, (2, 3), dtype=np.uint8)
        pixels = np.where(disc[..., None], inside, outside)
        Image.fromarray(pixels).save(folder / f"{i:04d}.png", compress_level=1)


def draw(root: Path, images: int) -> None:
    """Write `images` PNGs below `root`, at most a thousand in a folder, on all cores."""
    root.mkdir()
    counts = [min(A_FOLDER, images - start) for start in range(0, images, A_FOLDER)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(draw_folder, root), range(len(counts)), counts))


@contextmanager
def training(
    images: Path, folder: Path, preset: str, settings: list[str], dataset: str
) -> Iterator[Any]:
    """The command line at work on one epoch of `images`: a psutil process, its log in `folder`."""
    wishes = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "vae_core", "train", "--preset", preset, "--epochs", "1"]
    command += ["--dataset", dataset, "--data-dir", str(images), *wishes]
    command += ["--run", "memory", "--store", str(folder / "runs")]
    with (folder / "log.txt").open("wb") as log:
        process = psutil.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"VAE_CACHE": str(folder / "cache")},
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def phase_of(run: Run) -> str:
    """What the process of `run` is at, from what it has recorded."""
    if run.status().state == "finished":
        return "leaving"
    records, _ = run.history()
    if not records:
        return "preparing"
    steps = [record["step"] for record in records if record["kind"] == "step"]
    return "finishing" if steps and steps[-1] >= run.status().total_steps > 0 else "training"


def peaks(
    images: Path, folder: Path, preset: str, settings: list[str], dataset: str = "folder"
) -> dict[str, Any]:
    """Of each phase its peak in MB (10⁶ bytes), the part of that peak which is pages of files
    (code, the map of the images; None where the system does not tell), and its seconds.

    Raises:
        SystemExit: when training fails; the end of its log was printed.
    """
    run, phase = Run(folder / "runs" / "memory"), "preparing"
    highest: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    looked = time.monotonic()
    with training(images, folder, preset, settings, dataset) as process:
        while process.poll() is None:
            memory = process.memory_info()
            if memory.rss > 0 and (phase not in highest or memory.rss > highest[phase].rss):
                highest[phase] = memory
            time.sleep(SAMPLE_EVERY_S)
            now = time.monotonic()
            if now - looked >= LOOK_EVERY_S:
                seconds[phase] = seconds.get(phase, 0.0) + now - looked
                looked, phase = now, phase_of(run)
    if process.returncode:
        print((folder / "log.txt").read_text()[-2000:], file=sys.stderr)
        raise SystemExit("Training failed; the end of its log is above.")
    return {
        phase: {
            "peak_mb": round(memory.rss / 1e6),
            "of_files_mb": round(memory.shared / 1e6) if hasattr(memory, "shared") else None,
            "seconds": round(seconds.get(phase, 0.0), 1),
        }
        for phase, memory in highest.items()
    }


def report(
    phases: dict[str, Any], shape: tuple[int, ...], card: DataCard, preset: str, settings: list[str]
) -> dict[str, Any]:
    """What was trained on what, and the peaks found."""
    return {
        "workload": f"{preset} for one epoch on a folder of images, from unprepared files",
        "images": shape,
        "learned_from": card.n_train,
        "measured_on": card.n_validation,
        "settings": settings,
        "peak_mb": max(phase["peak_mb"] for phase in phases.values()),
        "phases": phases,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print the result, as JSON or as a small table."""
    if as_json:
        print(json.dumps(result, indent=2), flush=True)
        return
    print(f"At most {result['peak_mb']:,} MB resident with {result['images'][0]:,} images.")
    for phase, found in result["phases"].items():
        print(f"{phase:>10}: {found['peak_mb']:6,} MB, {found['seconds']:6.1f} s", flush=True)


def main(
    images: Annotated[int, typer.Option(min=20, help="How many images to draw.")] = 200_000,
    data_dir: Annotated[
        Path | None, typer.Option(help="A folder of images to use in place of drawn ones.")
    ] = None,
    preset: Annotated[str, typer.Option(help="What is trained, for one epoch.")] = "images-vae",
    learn: Annotated[
        int, typer.Option(min=2, help="How many of the images the epoch takes, drawn evenly.")
    ] = 10_000,
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the run."),
    ] = [],  # noqa: B006 — typer wants a list and copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the peak of resident memory: preparing, training one epoch, and finishing."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if data_dir is None:
            print(f"Drawing {images:,} images", file=sys.stderr)
            draw(folder / "images", images)
        place = (data_dir or folder / "images").resolve()
        phases = peaks(place, folder, preset, [f"data.limit={learn}", *settings])
        card = Run(folder / "runs" / "memory").data_card()
        (about,) = (folder / "cache").glob("folder-*/about.json")
        shape = StoredImages(about.with_name(IMAGES)).shape
        # Before clearing up, which takes minutes where the disk is busy.
        show(report(phases, shape, card, preset, settings), as_json)


if __name__ == "__main__":
    typer.run(main)
