"""MNIST and its relatives, and CIFAR-10: read by torchvision, found in place or downloaded."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.arrays import shape_asked
from vae_core.data.dataset import Dataset, ImageSet, Progress
from vae_core.data.download import fetch
from vae_core.data.folders import data_folder
from vae_core.data.hashes import content_hashes
from vae_core.data.images import ArrayImages
from vae_core.data.prepared import prepare_array
from vae_core.data.source import Load, source
from vae_core.data.splits import assemble
from vae_core.errors import UserError

Download = Callable[[Any, str, Path, Progress], None]


@dataclass(frozen=True)
class _Set:
    """One data set of torchvision: `reader` is its class there, `folder` what it looks for."""

    name: str
    label: str
    blurb: str
    paper: str
    reader: str
    folder: str
    image_shape: tuple[int, int, int]
    label_names: tuple[str, ...]
    download: Download


def _download_idx(reader: Any, label: str, root: Path, progress: Progress) -> None:
    """The four gzipped files of an MNIST-like set, unpacked into `<root>/<reader>/raw`."""
    raw = root / reader.__name__ / "raw"
    for file, md5 in reader.resources:
        if not (raw / file).with_suffix("").exists():
            fetch([mirror + file for mirror in reader.mirrors], raw / file, md5, label, progress)
            _unpack(raw / file)


def _download_tar(reader: Any, label: str, root: Path, progress: Progress) -> None:
    """CIFAR's one archive, unpacked into `<root>`."""
    archive = root / reader.filename
    fetch([reader.url], archive, reader.tgz_md5, label, progress)
    _unpack(archive)


def _unpack(archive: Path) -> None:
    """Put what `archive` holds beside it and remove it; a broken-off attempt leaves nothing."""
    from torchvision.datasets.utils import extract_archive

    with TemporaryDirectory(dir=archive.parent, prefix=".unpacking-") as folder:
        extract_archive(str(archive), folder)
        for path in Path(folder).iterdir():
            target = archive.parent / path.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(path, target)
    archive.unlink()


SETS = (
    _Set(
        "mnist", "MNIST", "70 000 handwritten digits, 28×28, grey. Where most people begin.",
        "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        "MNIST", "MNIST", (1, 28, 28), tuple("0123456789"), _download_idx,
    ),
    _Set(
        "fashion_mnist", "Fashion-MNIST", "70 000 pieces of clothing, 28×28, grey, 10 kinds.",
        "Xiao et al. 2017, arXiv:1708.07747",
        "FashionMNIST", "FashionMNIST", (1, 28, 28),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
         "Bag", "Ankle boot"),
        _download_idx,
    ),
    _Set(
        "kmnist", "Kuzushiji-MNIST", "70 000 cursive Japanese characters, 28×28, grey, 10 kinds.",
        "Clanuwat et al. 2018, arXiv:1812.01718",
        "KMNIST", "KMNIST", (1, 28, 28),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), _download_idx,
    ),
    _Set(
        "cifar10", "CIFAR-10", "60 000 photographs, 32×32, colour, 10 kinds. Hard for a small VAE.",
        "Krizhevsky 2009, Learning multiple layers of features from tiny images",
        "CIFAR10", "cifar-10-batches-py", (3, 32, 32),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        _download_tar,
    ),
)  # fmt: skip


def _loader(entry: _Set) -> Load:
    def load(config: DataConfig, progress: Progress) -> Dataset:
        from torchvision import datasets as readers  # slow to import; the first page does not wait

        reader = getattr(readers, entry.reader)
        root = _root(data_folder(config.data_dir), entry.folder)
        shape = shape_asked(config, entry.image_shape)
        parts = []
        for train in (True, False):
            progress(f"Reading {entry.label}", None)
            found = _read(reader, entry, root, train, progress)
            images = prepare_array(entry.name, found[0], shape, progress)
            # Of the images as they come, so that the parts are the same at every size.
            hashes = content_hashes(ArrayImages(found[0]))
            parts.append(ImageSet(images, found[1], hashes=hashes))
        return assemble(
            entry.name, parts[0], parts[1], config, fixed=True, label_names=entry.label_names
        )

    return load


def _root(folder: Path, looked_for: str) -> Path:
    """The folder above `looked_for`, also when the person named that one or one inside it."""
    for candidate in (folder, folder.parent, folder.parent.parent):
        if (candidate / looked_for).is_dir():
            return candidate
    return folder


def _read(
    reader: Any, entry: _Set, root: Path, train: bool, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [N, C, H, W], labels int64 [N]), downloaded first if they are not there."""
    try:
        try:
            found = reader(str(root), train=train)
        except RuntimeError:  # torchvision's way to say that files are missing
            entry.download(reader, entry.label, root, progress)
            found = reader(str(root), train=train)
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        AssertionError,
        EOFError,
        KeyError,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(
            f"The files of {entry.label} in {root / entry.folder} cannot be read: "
            f"{str(error) or type(error).__name__}. Remove that folder to download them again."
        ) from error
    images = np.asarray(found.data)
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images), np.asarray(found.targets, np.int64)


for _entry in SETS:
    source(
        _entry.name,
        label=_entry.label,
        blurb=_entry.blurb,
        origin="download",
        image_shape=_entry.image_shape,
        paper=_entry.paper,
    )(_loader(_entry))
