"""MNIST and its relatives, and CIFAR-10: found in place, or downloaded as torchvision does."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.arrays import shape_asked
from vae_core.data.cifar_batches import read_batch
from vae_core.data.dataset import Dataset, ImageSet, Progress
from vae_core.data.download import fetch
from vae_core.data.hashes import content_hashes
from vae_core.data.idx import find_idx, read_idx
from vae_core.data.images import ArrayImages
from vae_core.data.pickled import Damaged
from vae_core.data.prepared import prepare_array
from vae_core.data.reading import read_whole, why
from vae_core.data.source import Load, source
from vae_core.data.splits import assemble
from vae_core.errors import UserError
from vae_core.locations import data_folder


@dataclass(frozen=True)
class _Found:
    """Images uint8 [N, C, H, W] and labels int64 [N] of both parts; `others` names the files that
    are not the published ones."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    others: tuple[str, ...] = ()


Find = Callable[[Any, Path], _Found | None]
"""Reads the files under a folder, None where there are none. Raises ValueError and OSError."""
Download = Callable[[Any, str, Path, Progress], None]


@dataclass(frozen=True)
class _Set:
    """One data set of torchvision: `reader` is its class there, which knows addresses and
    checksums; `folder` is where the files lie below the data folder."""

    name: str
    label: str
    blurb: str
    paper: str
    reader: str
    folder: str
    image_shape: tuple[int, int, int]
    counts: tuple[int, int]
    label_names: tuple[str, ...]
    find: Find
    download: Download


def _find_idx(reader: Any, folder: Path) -> _Found | None:
    """The four files of an MNIST-like set in `folder` or in its `raw`."""
    published = dict(reader.resources)
    for place in (folder / "raw", folder):
        files = {
            part: [
                find_idx(place, f"{part}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")
            ]
            for part in ("train", "t10k")
        }
        paths = [path for pair in files.values() for path in pair]
        if any(path is None for path in paths):
            continue
        train, test = (_read_pair(*pair) for pair in files.values())
        zipped = [path for path in paths if path is not None and path.suffix == ".gz"]
        others = (path.name for path in zipped if _md5(path) != published.get(path.name))
        return _Found(train, test, tuple(others))
    return None


def _read_pair(images: Path | None, labels: Path | None) -> tuple[np.ndarray, np.ndarray]:
    assert images is not None and labels is not None
    pictures, classes = read_idx(images, 3)[:, None], read_idx(labels, 1).astype(np.int64)
    if len(pictures) != len(classes):
        raise ValueError(f"{len(pictures)} images in {images.name}, {len(classes)} labels")
    return pictures, classes


def _md5(path: Path) -> str:
    return hashlib.md5(read_whole(path), usedforsecurity=False).hexdigest()


def _download_idx(reader: Any, label: str, folder: Path, progress: Progress) -> None:
    """The gzipped files of an MNIST-like set that are not there, unpacked into `<folder>/raw`."""
    raw = folder / "raw"
    for file, md5 in reader.resources:
        if find_idx(raw, file.removesuffix(".gz")) is None:
            fetch([mirror + file for mirror in reader.mirrors], raw / file, md5, label, progress)
            _unpack(raw / file)


def _find_batches(reader: Any, folder: Path) -> _Found | None:
    """CIFAR's pickles. None also where all that are there are damaged: they came from no download
    of ours, which unpacks all or nothing, and hold nothing that another one would replace."""
    published = {name: md5 for name, md5 in (*reader.train_list, *reader.test_list)}
    batches, problems, missing = {}, [], []
    for name in published:
        try:
            if (folder / name).is_file():
                batches[name] = read_batch(folder / name)
            else:
                missing.append(name)
        except Damaged as error:
            problems.append(str(error))
    if not batches:
        return None
    if missing or problems:
        raise ValueError("; ".join([*problems, *(f"{name} is missing" for name in missing)]))

    def part(listed: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        columns = list(zip(*(batches[name][:2] for name, _ in listed), strict=True))
        return np.concatenate(columns[0]), np.concatenate(columns[1])

    others = tuple(name for name, md5 in published.items() if batches[name][2] != md5)
    return _Found(part(reader.train_list), part(reader.test_list), others)


def _download_tar(reader: Any, label: str, folder: Path, progress: Progress) -> None:
    """CIFAR's one archive, unpacked beside itself: it holds `folder`."""
    archive = folder.parent / reader.filename
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
        "MNIST", "MNIST", (1, 28, 28), (60_000, 10_000), tuple("0123456789"),
        _find_idx, _download_idx,
    ),
    _Set(
        "fashion_mnist", "Fashion-MNIST", "70 000 pieces of clothing, 28×28, grey, 10 kinds.",
        "Xiao et al. 2017, arXiv:1708.07747",
        "FashionMNIST", "FashionMNIST", (1, 28, 28), (60_000, 10_000),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
         "Bag", "Ankle boot"),
        _find_idx, _download_idx,
    ),
    _Set(
        "kmnist", "Kuzushiji-MNIST", "70 000 cursive Japanese characters, 28×28, grey, 10 kinds.",
        "Clanuwat et al. 2018, arXiv:1812.01718",
        "KMNIST", "KMNIST", (1, 28, 28), (60_000, 10_000),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), _find_idx, _download_idx,
    ),
    _Set(
        "cifar10", "CIFAR-10", "60 000 photographs, 32×32, colour, 10 kinds. Hard for a small VAE.",
        "Krizhevsky 2009, Learning multiple layers of features from tiny images",
        "CIFAR10", "cifar-10-batches-py", (3, 32, 32), (50_000, 10_000),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        _find_batches, _download_tar,
    ),
)  # fmt: skip


def _loader(entry: _Set) -> Load:
    def load(config: DataConfig, progress: Progress) -> Dataset:
        from torchvision import datasets as readers  # slow to import; the first page does not wait

        named = data_folder(config.data_dir)
        folder = _folder(named, entry.folder)
        shape = shape_asked(config, entry.image_shape)
        progress(f"Reading {entry.label}", None)
        # Files without the usual folder around them are believed to be what they were named as.
        places = (folder, named) if config.data_dir else (folder,)
        found = _read(getattr(readers, entry.reader), entry, places, progress)
        parts = []
        for pixels, labels in (found.train, found.test):
            images = prepare_array(entry.name, pixels, shape, progress)
            # Of the images as they come, so that the parts are the same at every size.
            hashes = content_hashes(ArrayImages(pixels))
            parts.append(ImageSet(images, labels, hashes=hashes))
        return assemble(
            entry.name, parts[0], parts[1], config, fixed=True, label_names=entry.label_names,
            notes=_notes(entry, folder, found),
        )  # fmt: skip

    return load


def _folder(named: Path, looked_for: str) -> Path:
    """Where the files are expected, also when the person named that folder or one inside it."""
    for candidate in (named, named.parent, named.parent.parent):
        if (candidate / looked_for).is_dir():
            return candidate / looked_for
    return named / looked_for


def _read(reader: Any, entry: _Set, places: tuple[Path, ...], progress: Progress) -> _Found:
    """Both parts from the first of `places` that has them, downloaded into it if none has."""
    try:
        for folder in places:
            found = entry.find(reader, folder)
            if found is not None:
                return found
        folder = places[0]
        entry.download(reader, entry.label, folder, progress)
        found = entry.find(reader, folder)
    except OSError as error:
        raise UserError(
            f"The files of {entry.label} in {folder} cannot be read: {why(error)}. Make sure that "
            "the drive is there and that you may read them, then try again."
        ) from error
    except ValueError as error:
        raise UserError(
            f"The files of {entry.label} in {folder} cannot be read: {error}. "
            "Remove that folder to download them again."
        ) from error
    assert found is not None, "what was downloaded has been checked"
    return found


def _notes(entry: _Set, folder: Path, found: _Found) -> tuple[str, ...]:
    """What differs from the published files."""
    counts = (len(found.train[0]), len(found.test[0]))
    notes: tuple[str, ...] = ()
    if found.others:
        which = ", ".join(found.others)
        notes += (f"The files in {folder} are not the published ones: other checksums ({which}).",)
    if counts != entry.counts:
        told = [
            f"{train} training and {test} test images" for train, test in (counts, entry.counts)
        ]
        notes += (f"There are {told[0]} in {folder}; published are {told[1]}.",)
    return notes


for _entry in SETS:
    source(
        _entry.name,
        label=_entry.label,
        blurb=_entry.blurb,
        origin="download",
        image_shape=_entry.image_shape,
        paper=_entry.paper,
    )(_loader(_entry))
