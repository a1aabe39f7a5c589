"""How fast a folder of images is prepared, beside other ways to decode the same files.

`python -m benchmarks.preparing [--json]`: photographs of 500×375 as JPEG brought to 64×64, and
drawings of 28×28 as PNG. The ways take turns, so that a busy machine is as busy for all: one
thread; a thread for each core; and what the product does, from an empty cache to the data set, with
everything that it takes. Ratios are medians over the rounds.
"""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from vae_core.data.prepare import prepare_files
from vae_core.imaging.decode import decode
from vae_core.imaging.fit import Target
from vae_core.imaging.walk import list_folder
from vae_core.locations import CACHE_VARIABLE
from vae_core.progress import no_progress


def photographs(folder: Path, count: int) -> Target:
    """JPEGs of 500×375 with the noise of a camera, to be brought to 64×64."""
    for i in range(count):
        rng = np.random.default_rng(i)
        blocks = Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8))
        smooth = np.asarray(blocks.resize((500, 375), Image.Resampling.BICUBIC)).astype(int)
        noisy = np.clip(smooth + rng.integers(-12, 12, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:06}.jpg", quality=88)
    return Target(64, 64)


def drawings(folder: Path, count: int) -> Target:
    """Grey PNGs of 28×28."""
    for i in range(count):
        blocks = np.random.default_rng(i).integers(0, 255, (7, 7), np.uint8)
        Image.fromarray(np.kron(blocks, np.ones((4, 4), np.uint8))).save(folder / f"{i:06}.png")
    return Target(28, 28)


def one_thread(folder: Path, target: Target) -> None:
    """Each file after the other."""
    for path in sorted(folder.iterdir()):
        decode(io.BytesIO(path.read_bytes()), target)


def threads(folder: Path, target: Target) -> None:
    """As many files at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda p: decode(io.BytesIO(p.read_bytes()), target), folder.iterdir()))


def product(folder: Path, target: Target) -> None:
    """What a person waits for: listing, reading, decoding, writing, and starting processes."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ[CACHE_VARIABLE] = cache
        prepared = prepare_files("benchmark", list_folder(folder), target, no_progress)
        assert len(prepared.kept) == len(list(folder.iterdir()))


WAYS: dict[str, Callable[[Path, Target], None]] = {
    "one_thread": one_thread,
    "threads": threads,
    "product": product,
}


def measured(folder: Path, target: Target, rounds: int) -> dict[str, Any]:
    """Images/s of each way in each round, and the median of its ratio to one thread."""
    count = len(list(folder.iterdir()))
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, work in WAYS.items():
            began = time.perf_counter()
            work(folder, target)
            speeds[way].append(count / (time.perf_counter() - began))
    ratios = {
        way: statistics.median(a / b for a, b in zip(each, speeds["one_thread"], strict=True))
        for way, each in speeds.items()
    }
    return {
        way: {
            "images_per_s": [round(speed) for speed in each],
            "to_one_thread": round(ratios[way], 2),
        }
        for way, each in speeds.items()
    }


def main(
    photos: Annotated[int, typer.Option(min=1, help="JPEGs.")] = 4000,
    pictures: Annotated[int, typer.Option(min=1, help="PNGs.")] = 40_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure preparing of JPEGs and PNGs."""
    result: dict[str, Any] = {"cores": os.cpu_count(), "machine": platform.machine()}
    for name, draw, count in (
        ("jpeg 500x375 to 64", photographs, photos),
        ("png 28", drawings, pictures),
    ):
        with tempfile.TemporaryDirectory() as folder:
            target = draw(Path(folder), count)
            result[name] = {"images": count, **measured(Path(folder), target, rounds)}
    print(json.dumps(result, indent=2) if as_json else _table(result))


def _table(result: dict[str, Any]) -> str:
    lines = []
    for name, each in result.items():
        if isinstance(each, dict):
            for way in WAYS:
                speeds = ", ".join(map(str, each[way]["images_per_s"]))
                ratio = each[way]["to_one_thread"]
                lines.append(f"{name:20} {way:12} {ratio:5.2f} × one thread   {speeds} images/s")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
