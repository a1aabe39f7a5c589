"""What becomes slower as something grows, and what does not.

`python -m benchmarks.growth [--json] [--quick] [--only data,side]`: steps a second against the size
of the data set on disk, the side of the images and the latent dimensions; what the page of a
training waits for against the length of its history; the gallery against the runs in the store.
Training is measured with the settings of a worker, in one process after the other kind of growth.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.training import ROOT, chosen, machine
from vae_core import process

if TYPE_CHECKING:
    from vae_core.config import RunConfig
    from vae_core.data import Dataset
    from vae_core.training.loop import Loop

MOST_PIXELS_A_STEP = 64 * 64 * 64
"""Of images of several sides: 64 images of 64×64, fewer larger ones."""

LONGEST_S, WARM_STEPS = 6.0, 3
"""A speed is measured over so many seconds at most, or the steps asked for."""

Row = dict[str, float]


@dataclass(frozen=True)
class Growth:
    """What grows (`x`), what is watched (`y`), how one size is measured, and the sizes."""

    title: str
    x: str
    y: str
    measure: Callable[[Path, int], Row]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]


def in_memory(count: int, shape: tuple[int, int, int]) -> Dataset:
    """Noise, of which a step takes as long as of anything."""
    from vae_core.data import ArrayImages, Dataset, ImageSet

    pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    images = ImageSet(ArrayImages(pixels))
    return Dataset("noise", images, images)


def loop_on(config: RunConfig, dataset: Dataset) -> Loop:
    """A training as the worker makes it, in fp32."""
    import torch

    from vae_core.families import build, complete
    from vae_core.training.device import choose_threads
    from vae_core.training.loop import Loop

    torch.set_num_threads(choose_threads(config.train.threads))
    torch.manual_seed(0)
    config = complete(config.updated({"train": {"precision": "fp32"}}))
    model, objective = build(config, dataset.image_shape)
    return Loop(config, dataset, model.to(memory_format=torch.channels_last), objective)


def training_speed(config: RunConfig, dataset: Dataset, steps: int) -> Row:
    """Images/s of steps and of the forming of their batches, and the seconds of shuffling once."""
    from vae_core.data.batches import epoch_batches

    loop = loop_on(config, dataset)
    start = time.perf_counter()
    batches = epoch_batches(dataset.train, config.train, 0)
    shuffled = time.perf_counter() - start
    images, seconds = 0, 0.0
    for number in range(WARM_STEPS + steps):
        indices = batches[number % len(batches)]
        start = time.perf_counter()
        loop.players.step(*loop.batch(indices))
        if number >= WARM_STEPS:
            images, seconds = images + len(indices), seconds + time.perf_counter() - start
        if seconds > LONGEST_S:
            break
    return {"images/s": images / seconds, "seconds to shuffle": shuffled}


def course(batch: int = 512, **model: Any) -> RunConfig:
    """The course network, at other settings of the model."""
    from vae_core.presets import presets

    return presets["course-vae"].config.updated({"model": model, "train": {"batch_size": batch}})


def discs(path: Path, count: int) -> None:
    """A file of so many drawn images, uint8 [count, 1, 28, 28]: grey discs on black."""
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 1, 28, 28))
    random = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    for start in range(0, count, 10_000):
        here = out[start : start + 10_000, 0]
        row, column, radius, grey = random.uniform(
            np.array((8, 8, 3, 60))[:, None], np.array((20, 20, 9, 255))[:, None], (4, len(here))
        )[..., None, None].astype(np.float32)
        here[:] = np.where(np.hypot(y - row, x - column) < radius, grey, 0)
    out.flush()


def by_data(folder: Path, size: int) -> Row:
    """Batches read at random places of a file that is larger than what a run takes of it."""
    from vae_core.data import Dataset, ImageSet, StoredImages
    from vae_core.data.images import ArrayImages, SubsetImages

    path = folder / f"{size}.npy"
    discs(path, size)
    stored = StoredImages(path)
    part = ImageSet(SubsetImages(stored, np.arange(size)))
    few = ImageSet(ArrayImages(stored.gather(np.arange(64))))
    row = training_speed(course(), Dataset("discs", part, few), 80)
    path.unlink()
    return row


def by_side(folder: Path, side: int) -> Row:
    """Images in colour, by the network that a person's own images get."""
    from vae_core.auto import usual
    from vae_core.presets import presets

    batch = int(np.clip(MOST_PIXELS_A_STEP // side**2, 4, 64))
    changes = {"model": {"latent_dim": 32}, "train": {"batch_size": batch, "epochs": 1}}
    config = usual(presets["images-vae"].config.updated(changes))
    config = config.updated({"model": {"likelihood": "gaussian-optimal"}})
    return {"batch": batch} | training_speed(config, in_memory(4 * batch, (3, side, side)), 40)


def by_latents(folder: Path, latents: int) -> Row:
    """The course network with more latent dimensions."""
    return training_speed(course(latent_dim=latents), in_memory(2048, (1, 28, 28)), 60)


def by_history(folder: Path, records: int) -> Row:
    """What the page of a training waits for: the first reading, and each refresh after it."""
    from latent_workbench.live.history import History
    from vae_core.runs import Store, layout

    run = Store(folder).create(f"of-{records}", course())
    terms = {"recon": 431.286, "kl": 12.7351}

    def lines(start: int, count: int) -> str:
        return "".join(
            json.dumps(
                {"kind": "step", "step": 10 * n, "epoch": n // 12, "time": n / 8, "terms": terms,
                 "total": 444.02, "weights": {"recon": 1.0, "kl": 1.0}, "beta": 1.0,
                 "images_per_s": 7421.5}
            ) + "\n"
            for n in range(start, start + count)
        )  # fmt: skip

    path = run.file(layout.HISTORY)
    path.write_text(lines(0, records), encoding="utf-8")
    history = History(run)
    start = time.perf_counter()
    history.refresh()
    _, cursor = history.full()
    first = time.perf_counter() - start
    taken = []
    for number in range(20):
        with path.open("a", encoding="utf-8") as file:
            file.write(lines(records + 5 * number, 5))
        start = time.perf_counter()
        history.refresh()
        _, cursor = history.since(cursor)
        taken.append(1e3 * (time.perf_counter() - start))
    return {"refresh, ms": statistics.median(taken), "first reading, s": first}


def by_runs(folder: Path, runs: int) -> Row:
    """The list of runs in a fresh process, and the gallery as a session gets it."""
    from benchmarks.app import served
    from benchmarks.store import fill, opening
    from benchmarks.streamlit_session import visit
    from vae_core.runs import Store

    store = folder / f"{runs}-runs"
    store.mkdir()
    fill(store, runs)
    found = opening(store)
    with served(Store(store)) as (url, _):
        socket = f"{url.replace('http', 'ws')}/_stcore/stream"
        seen = asyncio.run(visit(socket, [""], "", time.monotonic() + 5.0, 0.2, 0.0))
    pages = seen.seconds.get("gallery", [])
    if seen.errors or not pages:
        raise RuntimeError(f"The gallery was not drawn: {seen.errors}")
    return {
        "gallery, s": statistics.median(pages[1:] or pages),
        "first gallery, s": pages[0],
        "list, first, s": found["first"],
        "list, again, s": found["again"],
    }


GROWTHS = {
    "data": Growth(
        "Size of the data set",
        "images on disk",
        "images/s",
        by_data,
        (1_000, 10_000, 100_000, 1_000_000),
        (1_000, 20_000),
    ),
    "side": Growth(
        "Side of the images", "pixels", "images/s", by_side, (16, 32, 64, 128, 256), (16, 32, 64)
    ),
    "latents": Growth(
        "Latent dimensions",
        "latents",
        "images/s",
        by_latents,
        (2, 8, 32, 128, 512, 1024),
        (2, 64, 1024),
    ),
    "history": Growth(
        "Length of a history",
        "records",
        "refresh, ms",
        by_history,
        (1_000, 10_000, 50_000, 200_000),
        (1_000, 20_000),
    ),
    "runs": Growth(
        "Runs in the store", "runs", "gallery, s", by_runs, (10, 100, 500, 2_000), (10, 100)
    ),
}


def grown(name: str, quick: bool) -> list[Row]:
    """Rows of one kind of growth, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", "--json", "--only", name]
    done = subprocess.run(
        [*command, *(["--quick"] if quick else [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Growth {name!r} failed; what it said is above.")
    rows: list[Row] = json.loads(done.stdout)["growth"][name]
    return rows


def main(
    only: Annotated[str, typer.Option(help="Which, by commas.")] = ",".join(GROWTHS),
    quick: Annotated[bool, typer.Option(help="Small sizes: a run of minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure speeds against sizes."""
    names = chosen(only, list(GROWTHS), "--only")
    found: dict[str, list[Row]] = {}
    if len(names) > 1:
        found = {name: grown(name, quick) for name in names}
    else:
        process.prepare()
        for name in names:
            growth, found[name] = GROWTHS[name], []
            for size in growth.quick if quick else growth.sizes:
                with tempfile.TemporaryDirectory() as folder:
                    row = {growth.x: size} | growth.measure(Path(folder), size)
                print(f"{growth.title}: {row}", file=sys.stderr)
                found[name].append({key: float(f"{value:.4g}") for key, value in row.items()})
    if as_json:
        print(json.dumps({"growth": found, **machine()}, indent=2))
        return
    from vae_core.cli.options import print_table

    for rows in found.values():
        print_table([tuple(rows[0]), *(tuple(f"{v:,g}" for v in row.values()) for row in rows)])


if __name__ == "__main__":
    typer.run(main)
