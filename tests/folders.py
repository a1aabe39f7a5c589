"""Folders of real digits as PNG files, for tests of what happens when files come and go."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.engine import TINY, tiny
from vae_core.config import DataConfig, RunConfig
from vae_core.data import ImageSet, load_dataset


def digit_files(folder: Path, labels: Iterable[int], each: int, first: int = 0) -> list[Path]:
    """`each` different digits of each of `labels` in a folder of its name, from the `first` on."""
    dataset = load_dataset(DataConfig(dataset="digits", image_size=16))
    paths = []
    for label in labels:
        assert dataset.train.labels is not None
        rows = np.flatnonzero(dataset.train.labels == label)[first : first + each]
        for row, pixels in zip(rows, dataset.train.images.gather(rows), strict=True):
            paths.append(folder / str(label) / f"{row:04}.png")
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0]).save(paths[-1])
    return paths


def on_folder(folder: Path, **changes: Any) -> RunConfig:
    """A tiny run on the images of a folder."""
    data = {"dataset": "folder", "data_dir": str(folder), "limit": None}
    config = tiny().updated({"data": {**TINY["data"], **data}, "train": {"batch_size": 16}})
    return config.updated(changes)


def pixels(part: ImageSet | None) -> set[bytes]:
    """Every picture of a part."""
    if part is None:
        return set()
    return {image.tobytes() for image in part.images.gather(np.arange(len(part)))}
