"""How fast scenes are made: the rooms once, then coloured images a second.

`python -m benchmarks.scenes [--json] [--sizes 32,64,128]`: batches of 128 scenes drawn at random
from the whole grid, as training gathers them, on one thread and on one for each core; medians over
rounds that take turns.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import numpy as np
import typer

from vae_core.data.sets.scenes import COUNT, SceneImages, render

BATCH = 128


def rate(images: SceneImages, threads: int, batches: int) -> float:
    """Images a second over so many batches, by so many threads."""
    rng = np.random.default_rng(0)
    wanted = [rng.integers(0, COUNT, BATCH) for _ in range(batches)]
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(images.gather, wanted):
            pass
    return BATCH * batches / (time.perf_counter() - began)


def measured(size: int, rounds: int, batches: int) -> dict[str, float]:
    """Seconds for the rooms at one size, and images a second in medians over rounds."""
    began = time.perf_counter()
    render(size)
    rendered = time.perf_counter() - began
    images, cores = SceneImages(size), os.cpu_count() or 1
    images.gather(np.arange(BATCH))
    rates: dict[int, list[float]] = {1: [], cores: []}
    for _ in range(rounds):
        for threads, found in rates.items():
            found.append(rate(images, threads, batches))
    return {
        "rooms_s": round(rendered, 2),
        "rooms_mb": round(render(size).nbytes / 1e6, 1),
        "images_per_s_one_thread": round(statistics.median(rates[1])),
        "images_per_s": round(statistics.median(rates[cores])),
    }


def main(
    sizes: Annotated[str, typer.Option(help="Sides in pixels, with commas.")] = "32,64,128",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each.")] = 5,
    batches: Annotated[int, typer.Option(min=1, help="Batches a round.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how fast scenes are made."""
    found: dict[str, Any] = {
        size: measured(int(size), rounds, batches) for size in sizes.split(",")
    }
    result = {
        "workload": f"batches of {BATCH} scenes at random",
        "cores": os.cpu_count(),
        "sizes": found,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for size, each in found.items():
        print(
            f"{size} px: rooms in {each['rooms_s']} s, {each['images_per_s']} images/s, "
            f"{each['images_per_s_one_thread']} on one thread"
        )


if __name__ == "__main__":
    typer.run(main)
