"""Images that do not fit in memory: read in large pieces, a window ahead, each once an epoch."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from tests.engine import built_in, make_loop, tiny
from vae_core.config import TrainConfig
from vae_core.data import ArrayImages, ImageSet, StoredImages
from vae_core.data import windows as module
from vae_core.data.batches import as_floats, epoch_batches
from vae_core.data.feed import Feed
from vae_core.data.windows import WindowReader, in_windows, window_batches
from vae_core.shares import shares_of
from vae_core.training.events import Checkpoint, Stepped

BYTES, BLOCK, WINDOW = 64, 5 * 64, 100 * 64
"""Of an image, and of images in a block and in a window, small enough to count."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", BLOCK)
    monkeypatch.setattr(module, "WINDOW", WINDOW)


def windowed(n: int, size: int, epoch: int = 0, labels: Any = None) -> list[np.ndarray]:
    images = ArrayImages(np.zeros((n, 1, 8, 8), np.uint8))
    train = TrainConfig(batch_size=size, shuffling="windows", seed=3)
    return epoch_batches(ImageSet(images, labels), train, epoch)


@pytest.mark.parametrize(("n", "size"), [(1003, 20), (1000, 7), (99, 20), (5, 8), (300, 150)])
def test_an_epoch_has_every_image_once_and_another_order_each_time(n: int, size: int) -> None:
    batches = windowed(n, size)
    assert [len(each) for each in batches] == [min(size, n - i) for i in range(0, n, size)]
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(n))
    again, other = windowed(n, size), windowed(n, size, epoch=1)
    assert all(map(np.array_equal, batches, again))
    assert n < 20 or not np.array_equal(np.concatenate(batches), np.concatenate(other))


def test_a_window_is_of_whole_blocks_and_a_batch_takes_one_of_each_lane() -> None:
    batches, each = windowed(1000, 20), window_batches(BYTES, 20)
    assert each == 5
    for start in range(0, 50, each):
        window = np.stack(batches[start : start + each])  # [batches, lanes]
        blocks, counts = np.unique(window // 5, return_counts=True)
        assert len(blocks) == 20 and (counts == 5).all()
        assert np.ptp(np.diff(blocks)) > 0, "blocks from everywhere, not neighbours"
        for lane in window.T:  # 5 images of a lane are one block
            assert len(np.unique(lane // 5)) == 1


@pytest.mark.parametrize("world", [2, 4])
def test_a_process_with_its_share_of_every_batch_reads_its_share_of_the_blocks(world: int) -> None:
    batches = windowed(1000, 20)
    read = [
        {int(i) // 5 for batch in batches for i in np.split(batch, world)[rank]}
        for rank in range(world)
    ]
    assert sum(map(len, read)) == 1000 // 5, "no block is read by two"


def test_labels_that_lie_side_by_side_are_mixed_as_in_a_whole_shuffle() -> None:
    """Of each batch the spread of labels is no wider than that of independent draws."""
    labels = np.arange(4000) * 8 // 4000  # folder after folder
    batches = windowed(4000, 20)
    counts = np.stack([np.bincount(labels[each], minlength=8) for each in batches])
    independent = 20 / 8 * (1 - 1 / 8)
    assert 0.5 < counts.var() / independent < 1.5
    in_order = np.stack([np.bincount(labels[i : i + 20], minlength=8) for i in range(0, 4000, 20)])
    assert in_order.var() / independent > 10, "the test can tell"


def test_balanced_draws_stay_balanced() -> None:
    labels = np.repeat([0, 1], [900, 100])
    images = ArrayImages(np.zeros((1000, 1, 8, 8), np.uint8))
    train = TrainConfig(batch_size=20, shuffling="windows", sampling="balanced")
    drawn = np.concatenate(epoch_batches(ImageSet(images, labels), train, 0))
    assert np.bincount(labels[drawn]).tolist() == [500, 500]


class Reads:
    """Images that know how they were asked for."""

    def __init__(self, images: Any) -> None:
        self.images, self.asked = images, list[np.ndarray]()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.images.shape

    def gather(self, indices: np.ndarray) -> np.ndarray:
        self.asked.append(indices)
        return self.images.gather(indices)


def noise(n: int) -> ArrayImages:
    return ArrayImages(np.random.default_rng(0).integers(0, 256, (n, 1, 8, 8)).astype(np.uint8))


@pytest.mark.parametrize("first", [0, 3, 17])
def test_batches_come_as_they_are_and_each_image_is_read_once_in_pieces(first: int) -> None:
    images = Reads(noise(1003))
    order = in_windows(np.arange(1003), BYTES, 20, np.random.default_rng(0))
    batches = np.split(order, range(20, 1003, 20))[first:]
    reader = WindowReader(images, 20)
    reader.expect(batches, first)
    for batch in batches:
        assert np.array_equal(reader.gather(batch), images.images.gather(batch))
    assert all((np.diff(rows) > 0).all() and len(rows) <= 5 for rows in images.asked)
    assert np.array_equal(np.sort(np.concatenate(images.asked)), np.sort(order[20 * first :]))


def test_a_window_is_read_beside_the_steps_on_the_one_before() -> None:
    images = Reads(noise(400))
    batches = np.split(in_windows(np.arange(400), BYTES, 20, np.random.default_rng(0)), 20)
    reader = WindowReader(images, 20)
    reader.expect(batches)
    for share in np.split(batches[0], 4):
        assert np.array_equal(reader.gather(share), images.images.gather(share))
    assert reader._next is not None
    for each in reader._next._reading:
        each.result()
    there = np.concatenate(images.asked)
    assert set(np.concatenate(batches[:10])) == set(there), "two windows, and no more"
    odd = np.array([7, 399, 7])  # what nobody announced, such as a step that is tried
    assert np.array_equal(reader.gather(odd), images.images.gather(odd))
    reader.expect(batches[5:], 5)  # after a rollback
    for batch in batches[5:]:
        assert np.array_equal(reader.gather(batch), images.images.gather(batch))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_processes_that_train_together_read_each_image_once(accumulated: int) -> None:
    """Each the rows that `shares_of` gives it, in the blocks that nobody else reads."""
    train = TrainConfig(batch_size=20, shuffling="windows")
    blocks: list[set[int]] = []
    read: list[np.ndarray] = []
    for rank in range(2):
        group, images = Pair(rank), Reads(noise(1000))

        def places(batch: int, group: Any = group) -> np.ndarray:
            shares = shares_of(batch, group, accumulated)
            return np.concatenate([np.arange(batch)[each.places] for each in shares])

        feed = Feed(ImageSet(images), train, torch.device("cpu"), places=places)
        batches = epoch_batches(ImageSet(images), train, 0)
        feed.expect(batches)
        for step, batch in enumerate(batches):
            x = feed.at(batch, step).x
            assert torch.equal(x, as_floats(images.images.gather(batch[places(20)]), x.device))
        read.append(np.concatenate(images.asked))
        blocks.append(set((read[-1] // 5).tolist()))
    assert np.array_equal(np.sort(np.concatenate(read)), np.arange(1000))
    assert not blocks[0] & blocks[1]


class Pair:
    """One of two processes."""

    world = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank


def test_a_run_goes_on_inside_a_window_to_the_same_bits() -> None:
    config = tiny(train={"shuffling": "windows", "epochs": 2, "checkpoint_every": 3})
    images = built_in(config.data).train.images
    assert window_batches(math.prod(images.shape[1:]), 64) == 1
    module.WINDOW = 3 * 64 * math.prod(images.shape[1:])
    whole = make_loop(config)
    saves = {
        event.step: copy.deepcopy(event.state)
        for event in whole.run()
        if isinstance(event, Checkpoint)
    }
    for step in (3, 6):  # a window's end and the middle of the next epoch's first
        resumed = make_loop(config, saves[step])
        assert len([each for each in resumed.run() if isinstance(each, Stepped)]) > 1
        for name, tensor in whole.model.state_dict().items():
            assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_the_benchmark_reads_what_it_draws(tmp_path: Path) -> None:
    from benchmarks.large import Cache, by_batches, draw
    from vae_core.data.npy import IMAGES, shards_of

    draw(tmp_path, 700)
    stored = StoredImages(tmp_path / IMAGES)
    cache = Cache(shards_of(tmp_path / IMAGES))
    for how in ("whole", "windows"):
        found = by_batches(stored, how, 10**9, cache)
        assert found["images"] == 700 and found["images_per_s"] > 0 < found["cpu_us_an_image"]


def test_training_from_a_disk_takes_two_windows_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 MB pass through windows of 4 MB. The file has holes where an image is black."""
    monkeypatch.setattr(module, "BLOCK", 2**18)
    monkeypatch.setattr(module, "WINDOW", 2**22)
    path = tmp_path / "images.npy"
    stored = np.lib.format.open_memmap(path, "w+", np.uint8, (10_000, 3, 64, 64))
    one = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    stored[7_777] = one
    del stored
    part = ImageSet(StoredImages(path))
    batches = epoch_batches(part, TrainConfig(batch_size=50, shuffling="windows"), 0)
    reader, process = WindowReader(part.images, 50), psutil.Process()
    before, seen, found = process.memory_info().rss, list[int](), 0
    reader.expect(batches)
    for batch in batches:
        images = reader.gather(batch)
        assert (images[batch == 7_777] == one).all() and not images[batch != 7_777].any()
        found += int((batch == 7_777).sum())
        seen.append(process.memory_info().rss - before)
    assert found == 1
    assert max(seen) < 2 * 2**22 + 20e6
    assert max(seen[100:]) < max(seen[:100]) + 10e6, "it does not grow"
