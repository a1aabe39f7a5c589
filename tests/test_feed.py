"""Batches are the same to the bit wherever the images lie, and augmented as they ever were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine import built_in, make_loop, tiny
from vae_core.config import TrainConfig
from vae_core.data import ArrayImages, ImageSet
from vae_core.data.augmentation import AUGMENTATIONS, drawn, moved
from vae_core.data.batches import as_floats, epoch_batches, labels_at, mask_at
from vae_core.data.feed import Feed, Streamed
from vae_core.training import state as state_module
from vae_core.training.events import Stepped, Validated
from vae_core.training.memory import RESIDENT_SHARE, fits_on_device

CPU = torch.device("cpu")


def part(n: int = 40, shape: tuple[int, int, int] = (3, 16, 20)) -> ImageSet:
    """Noise with labels, each image with padding of its own."""
    random = np.random.default_rng(0)
    boxes = np.tile(np.array([1, 2, 13, 17], np.int16), (n, 1))
    boxes[::2] = (0, 0, 16, 20)
    images = ArrayImages(random.integers(0, 256, (n, *shape)).astype(np.uint8))
    return ImageSet(images, labels=np.arange(n) % 3, boxes=boxes)


def as_before(images: np.ndarray, name: str, seed: int, step: int) -> np.ndarray:
    """What versions before this one showed in that step: the same draws, in NumPy alone."""
    random, n = np.random.default_rng((seed, step)), len(images)
    if "flip" in name:
        which = random.random(n) < 0.5
        images = np.where(which[:, None, None, None], images[..., ::-1], images)
    if "shift" in name:
        places = []
        for side in images.shape[2:]:
            most = max(1, round(side / 16))
            by = random.integers(-most, most + 1, n)
            places.append(np.clip(np.arange(side) - by[:, None], 0, side - 1))
        rows, columns = places
        images = np.stack(
            [image[:, r][:, :, c] for image, r, c in zip(images, rows, columns, strict=True)]
        )
    return images


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("resident", [False, True])
def test_batches_are_those_of_before_wherever_images_lie(name: str, resident: bool) -> None:
    """Images, labels and masks of a whole epoch, each with its own draws."""
    whole, train = part(), TrainConfig(batch_size=16, augmentation=name, seed=3)
    told: list[float | None] = []
    feed = Feed(whole, train, CPU, resident, lambda message, share: told.append(share))
    assert bool(told) is resident
    for step, indices in enumerate(epoch_batches(whole, train, epoch=1)):
        x, labels, mask = feed.at(indices, step)
        shown = as_before(whole.images.gather(indices), name, 3, step)
        assert torch.equal(x, as_floats(shown, CPU))
        assert x.is_contiguous(memory_format=torch.channels_last)
        expected = labels_at(whole, indices, CPU)
        assert labels is not None and expected is not None and torch.equal(labels, expected)
        inside = mask_at(whole, indices, CPU)
        assert mask is not None and inside is not None
        assert np.array_equal(mask.numpy(), as_before(inside.numpy(), name, 3, step))


def test_what_has_neither_labels_nor_padding_has_none_in_a_batch() -> None:
    plain = replace(part(), labels=None, boxes=None)
    x, labels, mask = Feed(plain, TrainConfig(augmentation="flip"), CPU).at(np.arange(8), 0)
    assert x.shape == (8, 3, 16, 20) and labels is None and mask is None


def test_a_mirrored_and_shifted_batch_is_of_the_same_images() -> None:
    images = torch.from_numpy(part(64).images.gather(np.arange(64)))
    places = drawn(images.shape, "flip", np.random.default_rng((1, 5)))
    mirrored = moved(images, places)
    same, turned = ((mirrored == each).flatten(1).all(1) for each in (images, images.flip(-1)))
    assert (same ^ turned).all() and 16 < same.sum() < 48
    shifted = moved(images, drawn(images.shape, "shift", np.random.default_rng((1, 6))))
    for before, after in zip(images, shifted, strict=True):
        assert any(
            torch.equal(after[:, 1:-1, 1:-1], before[:, 1 + y : 15 + y, 1 + x : 19 + x])
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        )


class Counting:
    """Images that count which batches were gathered, in order."""

    def __init__(self, images: Any) -> None:
        self.images, self.asked = images, list[tuple[int, ...]]()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.images.shape

    def gather(self, indices: np.ndarray) -> np.ndarray:
        self.asked.append(tuple(indices.tolist()))
        return self.images.gather(indices)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Streamed images as a GPU has them, a batch ahead, on the CPU."""
    from concurrent.futures import ThreadPoolExecutor

    def ahead(images: Any) -> Streamed:
        streamed = Streamed(images, CPU)
        streamed._ahead = ThreadPoolExecutor(1)
        return streamed

    return ahead


def test_the_next_batch_is_gathered_once_and_one_ahead(beside: Any) -> None:
    images = Counting(part().images)
    streamed = beside(images)
    first, second, third = (np.arange(8 * i, 8 * i + 8) for i in range(3))
    got = streamed(first, torch.from_numpy(first), second)
    assert torch.equal(got, torch.from_numpy(images.images.gather(first)))
    streamed._next[1].result()
    assert images.asked == [tuple(first), tuple(second)]
    got = streamed(second, torch.from_numpy(second), None)
    assert torch.equal(got, torch.from_numpy(images.images.gather(second)))
    assert images.asked == [tuple(first), tuple(second)]
    streamed(second, torch.from_numpy(second), third)  # and then, after a rollback, the first again
    got = streamed(first, torch.from_numpy(first), None)
    assert torch.equal(got, torch.from_numpy(images.images.gather(first)))


def told(loop: Any) -> list[Any]:
    found: list[Any] = []
    for event in loop.run():
        if isinstance(event, Stepped):
            found.append((event.step, event.terms, event.total))
        elif isinstance(event, Validated):
            found.append(event.measurement.terms)
    return found


@pytest.mark.parametrize("resident", [False, True])
def test_a_run_is_the_same_wherever_its_images_lie(
    resident: bool, beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(train={"augmentation": "flip+shift", "epochs": 1})
    plain = make_loop(config)
    expected = told(plain)
    if resident:
        monkeypatch.setattr(state_module, "fits_on_device", lambda images, device: True)
        loop = make_loop(config)
        assert loop.resident
    else:
        loop = make_loop(config)
        loop.feed.images = beside(loop.dataset.train.images)
    assert told(loop) == expected
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, loop.model.state_dict()[name]), name


def test_images_fit_where_a_share_of_the_free_memory_holds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = built_in(tiny().data).train.images
    size = float(np.prod(images.shape))
    gpu = torch.device("cuda")
    for free, fits in ((size / RESIDENT_SHARE, True), (size / RESIDENT_SHARE - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free - 64, 0))
        # What torch holds without using it counts as free.
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 100)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 36)
        assert fits_on_device(images, gpu) is fits
    assert not fits_on_device(images, CPU)
