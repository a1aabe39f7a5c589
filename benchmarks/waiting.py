"""Images/s by how long a waiting thread spins before it sleeps: quiet, beside a busy process, and
beside a second training.

OpenMP's threads wait for each other many times a step. One that spins goes on sooner; one that
sleeps leaves its core to others. PyTorch's wheels for Linux carry GNU's libgomp, which spins
`GOMP_SPINCOUNT` times, about 100 000 of them a millisecond. Every measurement has a process of its
own, and the settings take turns. What is timed are bare steps of the course VAE, batch 512.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""No spinning; what other OpenMPs than GNU's heed too. A count beside it goes before it."""

WAYS: dict[str, dict[str, str]] = {
    "passive": PASSIVE,
    **{str(count): PASSIVE | {"GOMP_SPINCOUNT": str(count)} for count in (300, 1000, 3000, 10_000)},
    "default": {},
}
SET_BY_WAYS = {name for way in WAYS.values() for name in way}
SITUATIONS = ("quiet", "busy", "two")
BATCH, SHAPE = 512, (1, 28, 28)
WARM_S = 1.0
"""At most, and no longer than what is measured after it."""


def images_per_s(seconds: float) -> float:
    """Take bare steps for so long, in this process as it is set up; images over seconds."""
    import numpy as np
    import torch

    from vae_core.data.batches import as_floats
    from vae_core.families import build, complete
    from vae_core.presets import presets
    from vae_core.runs import DataCard
    from vae_core.schedules import Span
    from vae_core.training.players import Players
    from vae_core.types import Context

    config = complete(presets["course-vae"].config)
    card = DataCard(dataset="mnist", image_shape=SHAPE, n_train=57_000, n_validation=3000)
    model, objective = build(config, card)
    model.to(memory_format=torch.channels_last)
    players = Players(config.train, model, objective, Span(1000, 100, 1.0, 0))
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE), dtype=np.uint8)

    def steps(until: float) -> int:
        taken = 0
        while time.perf_counter() < until:
            x = as_floats(pixels, model.device)
            players.step(x, Context(taken, players.generator, train_images=card.n_train))
            taken += 1
        return taken

    steps(time.perf_counter() + min(WARM_S, seconds))
    started = time.perf_counter()
    taken = steps(started + seconds)
    return taken * BATCH / (time.perf_counter() - started)


def child(way: str, seconds: float) -> subprocess.Popen[str]:
    """A process that measures itself under a setting."""
    others = {k: v for k, v in os.environ.items() if k not in SET_BY_WAYS}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.waiting", "--measure", str(seconds)],
        cwd=ROOT,
        env=others | WAYS[way],
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> float:
    """What such a process has found; a SystemExit when it failed, with its own words printed."""
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit("A measurement failed; what it said is above.")
    return float(said)


@contextmanager
def busy() -> Iterator[None]:
    """Beside a process that keeps one core busy, as the server of a dragging page does."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measured(way: str, situation: str, seconds: float) -> float:
    """Images/s under a setting in a situation; of two trainings at once the sum of both."""
    with ExitStack() as stack:
        if situation == "busy":
            stack.enter_context(busy())
        together = [child(way, seconds) for _ in range(2 if situation == "two" else 1)]
        return sum(map(answer, together))


def compare(
    ways: list[str], situations: list[str], rounds: int, seconds: float
) -> dict[str, dict[str, dict[str, float]]]:
    """Medians over the rounds, and medians of the rounds' ratios to the first setting."""
    speeds: dict[str, dict[str, list[float]]] = {s: {way: [] for way in ways} for s in situations}
    for number in range(rounds):
        for situation in situations:
            for way in ways if number % 2 == 0 else ways[::-1]:
                found = measured(way, situation, seconds)
                speeds[situation][way].append(found)
                print(f"{situation}, {way}: {found:,.0f} images/s", file=sys.stderr)
    return {
        situation: {
            way: {
                "images_per_s": round(statistics.median(each)),
                f"ratio_{ways[0]}": round(
                    statistics.median(a / b for a, b in zip(each, by_way[ways[0]], strict=True)), 3
                ),
            }
            for way, each in by_way.items()
        }
        for situation, by_way in speeds.items()
    }


def main(
    ways: Annotated[str, typer.Option(help="Settings to compare.")] = ",".join(WAYS),
    situations: Annotated[str, typer.Option(help="Of these.")] = ",".join(SITUATIONS),
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    measure: Annotated[float | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare how long waiting threads spin, in three situations."""
    if measure is not None:
        from vae_core.process import keep_memory

        keep_memory()
        print(images_per_s(measure))
        return
    found = compare(ways.split(","), situations.split(","), rounds, seconds)
    if as_json:
        print(json.dumps({"rounds": rounds, "seconds": seconds, "images_per_s": found}, indent=2))
        return
    for situation, by_way in found.items():
        print(situation, *(f"{way} {each}" for way, each in by_way.items()), sep="\n  ")


if __name__ == "__main__":
    typer.run(main)
