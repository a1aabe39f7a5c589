"""More images than memory holds: what training reads a second, and what it takes of memory.

`python -m benchmarks.large [--images 1000000] [--json] [--folder DIR]`: draws images of 64×64 in
colour as they lie once they are prepared (12.3 GB a million; removed at the end), and reads them in
turns: one file after the other (what `dd` does), a whole shuffle, and by windows. Then a training
runs on them. The page cache is emptied of them all the while, as if the machine had none to spare.
What is calculated for ten million images is named so.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer

from vae_core import process

SIDE, BATCH = 64, 64
PIECE = 4 * 2**20
DRAWN_AT_ONCE = 500
SAMPLE_EVERY_S = 0.5
LARGER = 10_000_000
"""Images that are calculated for."""


def draw(folder: Path, count: int) -> float:
    """Images uint8 [count, 3, 64, 64] as preparing writes them: discs on a ground. Seconds spent in
    writing, the hashes included."""
    from vae_core.data.npy import NpyWriter

    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    writer, spent = NpyWriter(folder, count), 0.0
    for start in range(0, count, DRAWN_AT_ONCE):
        n = min(DRAWN_AT_ONCE, count - start)
        row, column, radius = random.uniform((16, 16, 5), (48, 48, 15), (n, 3)).T[..., None, None]
        inside = ((y - row) ** 2 + (x - column) ** 2 < radius**2)[:, None]
        colours = random.integers(0, 256, (2, n, 3, 1, 1), np.uint8)
        images = np.where(inside, *colours)
        began = time.perf_counter()
        for i, image in enumerate(images, start):
            writer.write(i, image)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    writer.finish()
    return spent + time.perf_counter() - began


class Cache:
    """The page cache without our files in it."""

    def __init__(self, paths: list[Path]) -> None:
        self._files = [path.open("rb") for path in paths]

    def drop(self) -> None:
        """Have the system forget what it keeps of them."""
        for file in self._files:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    @contextmanager
    def kept_empty(self) -> Iterator[list[int]]:
        """Forget them twice a second; gives what the process had in memory each time, in bytes."""
        self.drop()
        over, resident = threading.Event(), list[int]()

        def work() -> None:
            while not over.wait(SAMPLE_EVERY_S):
                self.drop()
                resident.append(psutil.Process().memory_info().rss)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield resident
        finally:
            over.set()
            thread.join()


def in_one_piece(paths: list[Path], most: int, cache: Cache) -> float:
    """MB/s of so many bytes, read from the first on."""
    cache.drop()
    room, read = bytearray(PIECE), 0
    began = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while read < most and (count := file.readinto(room)):
                read += count
    return read / (time.perf_counter() - began) / 1e6


def by_batches(images: Any, how: str, most: int, cache: Cache) -> dict[str, Any]:
    """The batches of an epoch as a training gets them, up to so many bytes of images."""
    import torch

    from vae_core.config import TrainConfig
    from vae_core.data import ImageSet
    from vae_core.data.batches import epoch_batches
    from vae_core.data.feed import Feed

    part, one = ImageSet(images), math.prod(images.shape[1:])
    train = TrainConfig.model_validate({"batch_size": BATCH, "shuffling": how})
    began = time.perf_counter()
    batches = epoch_batches(part, train, 0)[: math.ceil(most / one / BATCH)]
    ordered = time.perf_counter() - began
    feed = Feed(part, train, torch.device("cpu"))
    before = io_bytes()
    with cache.kept_empty() as resident:
        began, used = time.perf_counter(), time.process_time()
        feed.expect(batches)
        for step, (indices, following) in enumerate(
            zip(batches, [*batches[1:], None], strict=True)
        ):
            feed.at(indices, step, following)
        seconds, used = time.perf_counter() - began, time.process_time() - used
    count = sum(map(len, batches))
    return {
        "images": count,
        "images_per_s": round(count / seconds),
        "mb_per_s": round(count * one / seconds / 1e6, 1),
        "cpu_us_an_image": round(1e6 * used / count, 1),
        "read_from_disk_of_it": round((io_bytes() - before) / (count * one), 2),
        "seconds_to_order_an_epoch": round(ordered, 2),
        "resident_mb": over_time(resident),
    }


def io_bytes() -> int:
    """What this process has had read from disks."""
    return psutil.Process().io_counters().read_bytes


def over_time(resident: list[int]) -> dict[str, Any]:
    """Ten values in their order and the greatest, in MB."""
    if not resident:
        return {}
    tenths = [part for part in np.array_split(np.array(resident), 10) if len(part)]
    return {
        "over_time": [round(float(part.mean()) / 1e6) for part in tenths],
        "most": round(max(resident) / 1e6),
    }


def trained(images: Any, how: str, seconds: float, cache: Cache) -> dict[str, Any]:
    """A training of the network that a person's own images get, for so long."""
    from benchmarks.growth import loop_on
    from vae_core.auto import usual
    from vae_core.data import ArrayImages, Dataset, ImageSet
    from vae_core.data.batches import epoch_batches
    from vae_core.presets import presets

    config = usual(presets["images-vae"].config.updated(
        {"model": {"latent_dim": 32}, "train": {"batch_size": BATCH, "epochs": 1}}
    ))  # fmt: skip
    config = config.updated(
        {"model": {"likelihood": "gaussian-optimal"}, "train": {"shuffling": how}}
    )
    few = ImageSet(ArrayImages(images.gather(np.arange(BATCH))))
    loop = loop_on(config, Dataset("discs", ImageSet(images), few))
    batches = epoch_batches(loop.dataset.train, config.train, 0)
    with cache.kept_empty() as resident:
        loop.feed.expect(batches)
        loop.players.step(*loop.batch(batches[0], batches[1]))
        resident.clear()
        began, step = time.perf_counter(), 1
        while time.perf_counter() - began < seconds:
            loop.players.step(*loop.batch(batches[step], batches[step + 1]))
            step += 1
        seconds = time.perf_counter() - began
    return {
        "images_per_s": round((step - 1) * BATCH / seconds),
        "resident_mb": over_time(resident),
    }


class Unread:
    """As many images as are calculated for, of which nobody asks for one."""

    shape = LARGER, 3, SIDE, SIDE

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Of none."""
        raise AssertionError("only their order is made")


def calculated(windows: dict[str, Any]) -> dict[str, Any]:
    """Ten million images: an epoch's order is made, its reading follows from what was measured."""
    from vae_core.config import TrainConfig
    from vae_core.data import ImageSet
    from vae_core.data.batches import epoch_batches

    train = TrainConfig(batch_size=BATCH, shuffling="windows")
    before, began = psutil.Process().memory_info().rss, time.perf_counter()
    batches = epoch_batches(ImageSet(Unread()), train, 0)
    return {
        "images": LARGER,
        "gb": round(LARGER * 3 * SIDE**2 / 1e9, 1),
        "minutes_of_reading_an_epoch": round(LARGER / windows["images_per_s"] / 60, 1),
        "batches": len(batches),
        "seconds_to_order_an_epoch": round(time.perf_counter() - began, 1),
        "mb_of_its_order": round((psutil.Process().memory_info().rss - before) / 1e6),
    }


def measured(folder: Path, images: int, read_gb: float, train_s: float) -> dict[str, Any]:
    """All of it."""
    from vae_core.data import StoredImages
    from vae_core.data.npy import IMAGES, shards_of

    print(f"Drawing {images:,} images", file=sys.stderr)
    spent = draw(folder, images)
    paths = shards_of(folder / IMAGES)
    cache, stored = Cache(paths), StoredImages(folder / IMAGES)
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    whole = images * 3 * SIDE**2
    result: dict[str, Any] = {
        "images": images,
        "gb": round(whole / 1e9, 2),
        "shards": len(paths),
        "written_images_per_s": round(images / spent),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
    }
    print("Reading in one piece, strewn and by windows", file=sys.stderr)
    pieces, most = [], min(whole, int(read_gb * 1e9))
    pieces.append(in_one_piece(paths, most, cache))
    result["whole"] = by_batches(stored, "whole", min(whole, int(0.2e9)), cache)
    pieces.append(in_one_piece(paths[::-1], most, cache))
    result["windows"] = by_batches(stored, "windows", whole, cache)
    pieces.append(in_one_piece(paths, most, cache))
    result["one_piece_mb_per_s"] = [round(each, 1) for each in pieces]
    result["windows_to_one_piece"] = round(
        result["windows"]["mb_per_s"] / statistics.median(pieces), 2
    )
    print("Training", file=sys.stderr)
    result["training"] = trained(stored, "windows", train_s, cache)
    result["calculated"] = calculated(result["windows"])
    return result


def main(
    images: Annotated[int, typer.Option(min=1000, help="How many are drawn.")] = 1_000_000,
    read_gb: Annotated[float, typer.Option(help="Read in one piece, each time.")] = 2.0,
    train_s: Annotated[float, typer.Option(help="Seconds of training.")] = 60.0,
    folder: Annotated[Path | None, typer.Option(help="On which disk.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure reading and training beyond memory."""
    process.prepare()
    needed = images * 3 * SIDE**2
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if shutil.disk_usage(place).free < 1.2 * needed:
            raise SystemExit(f"{needed / 1e9:.1f} GB are needed in {place}; name another --folder.")
        result = measured(Path(place), images, read_gb, train_s)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for name in ("whole", "windows"):
        each = result[name]
        print(f"{name:>9}: {each['mb_per_s']:6} MB/s, {each['images_per_s']:6} images/s")
    print(f"one piece: {statistics.median(result['one_piece_mb_per_s']):6} MB/s")
    print(f" training: {result['training']}")
    print(f"{LARGER:,} images: {result['calculated']}")


if __name__ == "__main__":
    typer.run(main)
