"""Data sets that torchvision knows the addresses of: found in place, or downloaded as it does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.dataset import Dataset
from vae_core.data.prepare import dataset_from_arrays
from vae_core.data.source import datasets
from vae_core.errors import UserError
from vae_core.imaging.reading import read_whole, reason_of
from vae_core.locations import data_folder
from vae_core.progress import Progress

Arrays = tuple[np.ndarray, np.ndarray]
"""Images uint8 [N, C, H, W] and labels int64 [N]."""


@dataclass(frozen=True)
class Found:
    """Both parts; `others` names the files that are not the published ones."""

    train: Arrays
    test: Arrays
    others: tuple[str, ...] = ()


class Reader:
    """A class of `torchvision.datasets`, imported when something is asked of it: that takes a
    second and tens of megabytes, which files that are there and need no checksum do not cost."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        from torchvision import datasets as readers

        return getattr(getattr(readers, self._name), attribute)


@dataclass(frozen=True)
class Published:
    """Loads the data set that is registered as `name`.

    reader: its class in `torchvision.datasets`, which knows addresses and checksums.
    folder: where the files lie below the data folder.
    counts: how many training and test images were published.
    find: reads the files under a folder, None where there are none; raises ValueError and OSError.
    download: fetches them, for the data set of this label, into a folder.
    """

    name: str
    reader: str
    folder: str
    counts: tuple[int, int]
    label_names: tuple[str, ...]
    find: Callable[[Reader, Path], Found | None]
    download: Callable[[Reader, str, Path, Progress], None]

    def __call__(self, config: DataConfig, progress: Progress) -> Dataset:
        label = datasets[self.name].label
        named = data_folder(config.data_dir)
        folder = self._folder(named)
        progress(f"Reading {label}", None)
        # Files without the usual folder around them are believed to be what they were named as.
        places = (folder, named) if config.data_dir else (folder,)
        found = self._read(Reader(self.reader), label, places, progress)
        notes = self._notes(folder, found)
        return dataset_from_arrays(
            self.name, config, progress, found.train, found.test, self.label_names, notes
        )

    def _folder(self, named: Path) -> Path:
        """Where the files are expected, also when the person named that folder or one inside it."""
        for candidate in (named, named.parent, named.parent.parent):
            if (candidate / self.folder).is_dir():
                return candidate / self.folder
        return named / self.folder

    def _read(
        self, reader: Reader, label: str, places: tuple[Path, ...], progress: Progress
    ) -> Found:
        """Both parts from the first of `places` that has them, else downloaded into it."""
        folder = places[0]
        try:
            for folder in places:
                found = self.find(reader, folder)
                if found is not None:
                    return found
            folder = places[0]
            self.download(reader, label, folder, progress)
            found = self.find(reader, folder)
        except OSError as error:
            raise UserError(
                f"The files of {label} in {folder} cannot be read: {reason_of(error)}. Make sure "
                "that the drive is there and that you may read them, then try again."
            ) from error
        except ValueError as error:
            raise UserError(
                f"The files of {label} in {folder} cannot be read: {error}. "
                "Remove that folder to download them again."
            ) from error
        assert found is not None, "what was downloaded has been checked"
        return found

    def _notes(self, folder: Path, found: Found) -> tuple[str, ...]:
        """What differs from the published files."""
        notes: tuple[str, ...] = ()
        if found.others:
            which = ", ".join(found.others)
            notes = (
                f"The files in {folder} are not the published ones: other checksums ({which}).",
            )
        counts = (len(found.train[0]), len(found.test[0]))
        if counts != self.counts:
            here, published = (
                f"{train} training and {test} test images" for train, test in (counts, self.counts)
            )
            notes += (f"There are {here} in {folder}; published are {published}.",)
        return notes


def md5(path: Path) -> str:
    """The checksum of a file, as torchvision lists them."""
    return hashlib.md5(read_whole(path), usedforsecurity=False).hexdigest()
