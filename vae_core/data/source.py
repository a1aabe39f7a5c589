"""The registry of data sets, and how one is loaded from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vae_core.config import DataConfig
from vae_core.data.binarised import binarised
from vae_core.data.dataset import Dataset
from vae_core.progress import Progress, no_progress, with_heartbeat
from vae_core.registry import Entry, Registry

Origin = Literal["built in", "download", "files", "own"]
"""built in: needs nothing. download: found in the data folder, or fetched. files: has to lie in
the data folder already. own: `data_dir` names the person's images; a form asks for it."""

Load = Callable[[DataConfig, Progress], Dataset]


@dataclass(frozen=True, kw_only=True)
class DatasetEntry(Entry[Load]):
    """What loads a data set, and what a form needs to know before it does.

    image_shape: (C, H, W) where the configuration asks for nothing else; C = 0 where it depends
        on the images.
    subject: what the images show, in a sentence of the gallery; "" says their name instead.
    """

    origin: Origin
    image_shape: tuple[int, int, int]
    subject: str = ""

    def shape_for(self, config: DataConfig) -> tuple[int, int, int]:
        """(C, H, W) of the images that `config` asks for."""
        channels, height, width = self.image_shape
        return config.channels or channels, *(config.size or (height, width))


datasets: Registry[DatasetEntry] = Registry("data set", DatasetEntry)


def load_dataset(config: DataConfig, progress: Progress = no_progress) -> Dataset:
    """Load the data set that `config` names: split, resized, made black and white where that is
    asked for, ready to be gathered from.

    `progress` is called several times a second whatever is waited for; what it raises ends all.

    Raises:
        UserError: when there is no such data set, its files are missing or damaged, it cannot be
            downloaded, or it holds too few images, or colour ones that are to be binarised.
    """
    load = datasets[config.dataset].build
    dataset = with_heartbeat(lambda report: load(config, report), progress)
    return binarised(dataset, config.binarise)
