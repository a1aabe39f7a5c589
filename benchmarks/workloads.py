"""What `benchmarks.training` and `benchmarks.gpu` train: networks, their images, and where a
measurement finds them.

Every side is a process of its own that is given a folder. In it lie the configuration of our run,
and the very images of its parts, which the rivals learn from and measure on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_core.config import RunConfig, parse_config

if TYPE_CHECKING:
    from benchmarks.twins import Published

CONFIG, IMAGES, PARTS = "config.json", "images.npy", ("train", "validation")


@dataclass(frozen=True)
class Workload:
    """A preset on images: MNIST where `shape` (C, H, W) is None, else so many drawn ones."""

    preset: str
    epochs: int
    images: int
    shape: tuple[int, int, int] | None = None

    def prepare(
        self,
        folder: Path,
        data_dir: Path | None,
        epochs: int | None = None,
        images: int | None = None,
        device: str = "auto",
    ) -> None:
        """Write into `folder` what the sides need: a run of so many epochs on so many images, two
        batches at least.

        Drawn images are the same each time.
        """
        from vae_core.families import complete
        from vae_core.presets import presets

        base = presets[self.preset].config
        images = max(images or self.images, 2 * int(base.train.batch_size))
        limit = images if images < self.images else None
        data: dict[str, object] = {"limit": limit, "data_dir": str(data_dir)}
        if self.shape is not None:
            np.save(folder / IMAGES, drawn(images, self.shape))
            place = str(folder / IMAGES)
            data = {"dataset": "folder", "data_dir": place, "image_size": self.shape[1]}
            data["validation_fraction"] = VALIDATION
        train = {"epochs": epochs or self.epochs, "device": device}
        config = complete(base.updated({"data": data, "train": train}))
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
        write_parts(config, folder)


WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload("course-vae", epochs=2, images=60_000),
    "W2": Workload("cifar-vae", epochs=3, images=4_000, shape=(3, 32, 32)),
    "W3": Workload("pytorch-vae", epochs=3, images=2_400, shape=(3, 64, 64)),
}
"""A round of all of them takes six to eight minutes on two quiet cores."""

VALIDATION = 0.05
"""Of the drawn images, as of MNIST. What is measured each epoch is a fiftieth of CIFAR's images."""

ON_A_GPU: Mapping[str, Workload] = {
    "W1": Workload("course-vae", epochs=5, images=60_000, shape=(1, 28, 28)),
    "W3": Workload("pytorch-vae", epochs=3, images=12_000, shape=(3, 64, 64)),
}
"""More images, all of them drawn: a card is at work for seconds, and needs no MNIST."""

CUT = 250
"""So many images are cut out, 3 ms each; a further one is one of these, shifted round its edges."""


def drawn(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Cut-outs of two photographs, in grey where there is one channel, uint8 [count, *shape]."""
    from benchmarks.collections_drawn import cut_scene

    random, (channels, height, width) = np.random.default_rng(0), shape
    mode = "L" if channels == 1 else "RGB"
    cut = np.stack(
        [
            np.asarray(cut_scene(random, (width, height)).convert(mode)).reshape(height, width, -1)
            for _ in range(min(count, CUT))
        ]
    ).transpose(0, 3, 1, 2)
    rounds = -(-count // CUT)
    shifted = [np.roll(cut, divmod(number, width), (2, 3)) for number in range(rounds)]
    return np.ascontiguousarray(np.concatenate(shifted)[:count])


def write_parts(config: RunConfig, folder: Path) -> None:
    """The training and validation images of a configuration as uint8 [N, C, H, W]."""
    from vae_core.data import load_dataset

    dataset = load_dataset(config.data)
    for name, part in zip(PARTS, (dataset.train, dataset.validation), strict=True):
        np.save(folder / f"{name}.npy", part.images.gather(np.arange(len(part))))


def config_of(folder: Path, **train: Any) -> RunConfig:
    """The configuration of our run, with changes of its `train`."""
    config = parse_config((folder / CONFIG).read_text(encoding="utf-8"))
    return config.updated({"train": train}) if train else config


def part_of(folder: Path, name: str) -> np.ndarray:
    """The images of a part, uint8 [N, C, H, W]."""
    images: np.ndarray = np.load(folder / f"{name}.npy")
    return images


def published_of(config: RunConfig) -> Published:
    """The network in plain PyTorch that the preset of a configuration rebuilds."""
    from benchmarks.twins import PUBLISHED

    assert config.preset is not None
    return PUBLISHED[config.preset]
