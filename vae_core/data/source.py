"""The registry of data sets, and how one is loaded from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset, Progress, no_progress
from vae_core.data.patience import patiently
from vae_core.registry import Registry

Origin = Literal["built in", "download", "files", "own"]
"""built in: needs nothing. download: found in the data folder, or fetched. files: has to lie in
the data folder already. own: `data_dir` names the person's images; a form asks for it."""

Load = Callable[[DataConfig, Progress], Dataset]


@dataclass(frozen=True)
class Source:
    """What loads a data set, and what a form needs to know before it does.

    image_shape: (C, H, W) where the configuration asks for nothing else; C = 0 where it depends
    on the images.
    """

    load: Load
    origin: Origin
    image_shape: tuple[int, int, int]

    def __call__(self, config: DataConfig, progress: Progress) -> Dataset:
        return self.load(config, progress)


datasets: Registry[Source] = Registry("data set")


def source(
    name: str,
    *,
    label: str,
    blurb: str,
    origin: Origin,
    image_shape: tuple[int, int, int],
    paper: str = "",
) -> Callable[[Load], Load]:
    """Decorator that registers a loading function as the data set `name`."""

    def add(load: Load) -> Load:
        entry = Source(load, origin, image_shape)
        datasets.register(name, label=label, blurb=blurb, paper=paper)(entry)
        return load

    return add


def load_dataset(config: DataConfig, progress: Progress = no_progress) -> Dataset:
    """Load the data set that `config` names: split, resized, ready to be gathered from.

    `progress` is called several times a second whatever is waited for; what it raises ends all.

    Raises:
        UserError: when there is no such data set, its files are missing or damaged, it cannot be
            downloaded, or it holds too few images.
    """
    load = datasets[config.dataset].build
    return patiently(lambda tell: load(config, tell), progress)
