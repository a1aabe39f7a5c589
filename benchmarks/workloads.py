"""What `benchmarks.training` trains: three networks, their images, and where a measurement finds
them.

Every side is a process of its own that is given a folder. In it lie the configuration of our run,
and the very images of its parts, which the rivals learn from and measure on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae_core.config import RunConfig, parse_config

if TYPE_CHECKING:
    from benchmarks.twins import Published

CONFIG, IMAGES, PARTS = "config.json", "images.npy", ("train", "validation")


@dataclass(frozen=True)
class Workload:
    """A preset on images: MNIST where `side` is None, else so many drawn ones in colour."""

    preset: str
    epochs: int
    images: int
    side: int | None = None

    def prepare(self, folder: Path, data_dir: Path | None, epochs: int, images: int) -> None:
        """Write into `folder` what the sides need: a run of so many epochs on so many images, two
        batches at least.

        Drawn images are the same each time.
        """
        from vae_core.families import complete
        from vae_core.presets import presets

        images = max(images, 2 * int(presets[self.preset].config.train.batch_size))
        limit = images if images < self.images else None
        changes: dict[str, object] = {"limit": limit, "data_dir": str(data_dir)}
        if self.side is not None:
            np.save(folder / IMAGES, drawn(images, self.side))
            place = str(folder / IMAGES)
            changes = {"dataset": "folder", "data_dir": place, "image_size": self.side}
            changes["validation_fraction"] = VALIDATION
        config = complete(
            presets[self.preset].config.updated({"data": changes, "train": {"epochs": epochs}})
        )
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
        write_parts(config, folder)


WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload("course-vae", epochs=2, images=60_000),
    "W2": Workload("cifar-vae", epochs=3, images=4_000, side=32),
    "W3": Workload("pytorch-vae", epochs=3, images=2_400, side=64),
}
"""A round of all of them takes six to eight minutes on two quiet cores."""

VALIDATION = 0.05
"""Of the drawn images, as of MNIST. What is measured each epoch is a fiftieth of CIFAR's images."""


def drawn(count: int, side: int) -> np.ndarray:
    """Cut-outs of two photographs, uint8 [count, 3, side, side]."""
    from benchmarks.collections_drawn import cut_scene

    random = np.random.default_rng(0)
    pictures = (np.asarray(cut_scene(random, (side, side))) for _ in range(count))
    return np.stack([picture.transpose(2, 0, 1) for picture in pictures])


def write_parts(config: RunConfig, folder: Path) -> None:
    """The training and validation images of a configuration as uint8 [N, C, H, W]."""
    from vae_core.data import load_dataset

    dataset = load_dataset(config.data)
    for name, part in zip(PARTS, (dataset.train, dataset.validation), strict=True):
        np.save(folder / f"{name}.npy", part.images.gather(np.arange(len(part))))


def config_of(folder: Path) -> RunConfig:
    """The configuration of our run."""
    return parse_config((folder / CONFIG).read_text(encoding="utf-8"))


def part_of(folder: Path, name: str) -> np.ndarray:
    """The images of a part, uint8 [N, C, H, W]."""
    images: np.ndarray = np.load(folder / f"{name}.npy")
    return images


def published_of(config: RunConfig) -> Published:
    """The network in plain PyTorch that the preset of a configuration rebuilds."""
    from benchmarks.twins import PUBLISHED

    assert config.preset is not None
    return PUBLISHED[config.preset]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
