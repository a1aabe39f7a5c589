"""From uint8 images in a data set to float batches on a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from vae_core.config import TrainConfig
from vae_core.data.dataset import Images, ImageSet
from vae_core.data.transfer import on_device
from vae_core.data.windows import in_windows
from vae_core.errors import UserError

PIXELS_AT_ONCE = 64 * 64 * 64
"""What measuring and encoding take at once: 64 images of 64×64. Of 256 such images one network's
activations were 110 MB more than training itself needed."""


def as_floats(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [B, C, H, W] → floats in [0, 1] in channels-last memory, on `device`.

    Bytes travel to the device and become floats there; channels-last is ×1.07 to ×1.23 faster
    for convolutions (benchmarks/README.md).
    """
    return to_floats(on_device(images, device))


def to_floats(images: Tensor) -> Tensor:
    """uint8 [B, C, H, W] → floats in [0, 1] in channels-last memory, where they lie."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255.0)


def in_order(images: Images, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """All images once, as float batches [≤ batch_size, C, H, W], see `batches_in_order`."""
    for indices in batches_in_order(images.shape, batch_size):
        yield as_floats(images.gather(indices), device)


def batches_in_order(shape: Sequence[int], batch_size: int) -> Iterator[np.ndarray]:
    """The numbers of all images of a shape [N, C, H, W], in order, [≤ batch_size]: fewer at once
    where images are large, see `PIXELS_AT_ONCE`."""
    n, _, height, width = shape
    size = max(1, min(batch_size, PIXELS_AT_ONCE // (height * width)))
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def labelled(
    part: ImageSet, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """As `in_order`, each batch with its labels, int64 [≤ batch_size], where there are any."""
    start = 0
    for x in in_order(part.images, batch_size, device):
        yield x, labels_at(part, slice(start, start + len(x)), device)
        start += len(x)


def labels_at(part: ImageSet, where: np.ndarray | slice, device: torch.device) -> Tensor | None:
    """The labels at some places of a part, int64 [B]; None where it has none."""
    return None if part.labels is None else on_device(part.labels[where], device)


def mask_at(part: ImageSet, where: np.ndarray | slice, device: torch.device) -> Tensor | None:
    """1 where a pixel of the images at some places counts, 0 where it is padding: [B, 1, H, W];
    None where all count."""
    if part.boxes is None:
        return None
    return inside(on_device(part.boxes[where], device), *part.images.shape[2:])


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """1 inside of each box, (top, left, bottom, right) [B, 4], 0 beside it: [B, 1, H, W]."""
    top, left, bottom, right = boxes.T[..., None]
    rows, columns = (torch.arange(side, device=boxes.device) for side in (height, width))
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    return (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).float()


def shuffled(part: ImageSet, random: np.random.Generator) -> np.ndarray:
    """Every image once, in random order: indices int64 [N]."""
    return random.permutation(len(part))


def balanced(part: ImageSet, random: np.random.Generator) -> np.ndarray:
    """As many draws as there are images, in random order, shared out evenly among the labels:
    indices int64 [N].

    Of N images of K labels each label is drawn N // K times, and N mod K of the labels, chosen
    anew each epoch, once more. A label of n images that is drawn q times gives every one of them
    q // n times, and q mod n of them, chosen anew each epoch, once more. So rare images come
    several times in an epoch, and of frequent ones another share in each. Images without a label
    count as one label more.
    """
    assert part.labels is not None, "check_sampling() saw to it"
    _, classes, counts = np.unique(part.labels, return_inverse=True, return_counts=True)
    draws = np.full(len(counts), len(part) // len(counts))
    draws[random.permutation(len(counts))[: len(part) % len(counts)]] += 1
    members = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])
    drawn = [
        np.append(np.tile(each, q // len(each)), random.permutation(each)[: q % len(each)])
        for each, q in zip(members, draws.tolist(), strict=True)
    ]
    return random.permutation(np.concatenate(drawn))


SAMPLINGS: dict[str, Callable[[ImageSet, np.random.Generator], np.ndarray]] = {
    "shuffled": shuffled,
    "balanced": balanced,
}
"""The images of an epoch, by the name that `train.sampling` has for it."""


def epoch_batches(part: ImageSet, train: TrainConfig, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch as indices [≤ batch_size] into the images of a part.

    They depend on seed, epoch and the labels alone, so that a resumed run goes on inside an epoch.
    """
    random = np.random.default_rng((train.seed, epoch))
    order = SAMPLINGS[train.sampling](part, random)
    size = train.batch_size
    if train.shuffling == "windows":
        order = in_windows(order, math.prod(part.images.shape[1:]), size, random)
    return [order[start : start + size] for start in range(0, len(order), size)]


def check_sampling(sampling: str, part: ImageSet) -> None:
    """Refuse to balance labels that there are none of.

    Raises:
        UserError: when the images have none.
    """
    if sampling == "balanced" and part.labels is None:
        raise UserError(
            "train.sampling: balanced needs labels, and these images have none. Put them into "
            "folders or name their labels in a labels.csv, or take shuffled."
        )


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse a batch that the training images cannot fill.

    Raises:
        UserError: when there are fewer images than a batch takes.
    """
    if batch_size > images:
        raise UserError(
            f"train.batch_size: a batch of {batch_size} is larger than the "
            f"{images} training images; use at most {images}."
        )
