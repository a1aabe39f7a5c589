"""MNIST and its relatives, and their own file format: a head that tells the shape, then bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.data.download import fetch, unpack
from vae_core.data.published import Arrays, Found, Published, Reader, md5
from vae_core.data.source import datasets
from vae_core.imaging.reading import Refused, read_whole
from vae_core.progress import Progress

MOST_BYTES = 1_000_000_000
"""Unpacked: twenty times the images of MNIST."""

UNSIGNED_BYTES = 8
"""The code of the format for uint8."""


def find_idx(folder: Path, name: str) -> Path | None:
    """The file called `name`, such as train-images-idx3-ubyte: so, with a dot, or gzipped."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / each for each in (name, dotted, f"{name}.gz", f"{dotted}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array in an idx file: uint8, of so many dimensions.

    DatasetEntry: LeCun, The MNIST database, "file formats".

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is damaged or holds something else; the message says what.
    """
    try:
        data = read_whole(path, MOST_BYTES)
        if path.suffix == ".gz":
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"{path.name} unpacks to more than {MOST_BYTES / 1e9:.3g} GB")
    except Refused as error:
        raise ValueError(f"{path.name}: {error}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is no whole gzip file ({error})") from None
    head = 4 * (dimensions + 1)
    if len(data) < head or data[:4] != bytes((0, 0, UNSIGNED_BYTES, dimensions)):
        raise ValueError(f"{path.name} is no idx file of {dimensions} dimensions")
    shape = np.frombuffer(data, ">u4", dimensions, 4).tolist()
    if len(data) - head != np.prod(shape, dtype=object):
        raise ValueError(f"{path.name} holds {len(data) - head} bytes for an array of {shape}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


def read_files(reader: Reader, folder: Path) -> Found | None:
    """The four files of such a set in `folder` or in its `raw`, gzipped or not."""
    for place in (folder / "raw", folder):
        files = {
            (part, kind): find_idx(place, f"{part}-{kind}-ubyte")
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        }
        paths = [path for path in files.values() if path is not None]
        if len(paths) < len(files):
            continue
        zipped = [path for path in paths if path.suffix == ".gz"]
        published = dict(reader.resources) if zipped else {}
        others = [path.name for path in zipped if md5(path) != published.get(path.name)]
        return Found(_read_pair(*paths[:2]), _read_pair(*paths[2:]), tuple(others))
    return None


def _read_pair(images: Path, labels: Path) -> Arrays:
    pixels, classes = read_idx(images, 3)[:, None], read_idx(labels, 1).astype(np.int64)
    if len(pixels) != len(classes):
        raise ValueError(f"{len(pixels)} images in {images.name}, {len(classes)} labels")
    return pixels, classes


def download_files(reader: Reader, label: str, folder: Path, progress: Progress) -> None:
    """Those of the four files that are not there, unpacked into `<folder>/raw`."""
    raw = folder / "raw"
    for file, checksum in reader.resources:
        if find_idx(raw, file.removesuffix(".gz")) is None:
            urls = [mirror + file for mirror in reader.mirrors]
            fetch(urls, raw / file, checksum, label, progress)
            unpack(raw / file)


def _register(name: str, reader: str, label_names: tuple[str, ...], **facts: Any) -> None:
    """Register one such set; `reader` is its class in torchvision, and its folder."""
    load = Published(
        name, reader, reader, (60_000, 10_000), label_names, read_files, download_files
    )
    datasets.register(name, origin="download", image_shape=(1, 28, 28), order=10, **facts)(load)


_register(
    "mnist",
    "MNIST",
    tuple("0123456789"),
    label="MNIST",
    blurb="70 000 handwritten digits, 28×28, grey. Where most people begin.",
    paper="LeCun et al. 1998, Gradient-based learning applied to document recognition",
    subject="handwritten digits",
)
_register(
    "fashion_mnist",
    "FashionMNIST",
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
     "Ankle boot"),
    label="Fashion-MNIST",
    blurb="70 000 pieces of clothing, 28×28, grey, 10 kinds.",
    paper="Xiao et al. 2017, arXiv:1708.07747",
)  # fmt: skip
_register(
    "kmnist",
    "KMNIST",
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    label="Kuzushiji-MNIST",
    blurb="70 000 cursive Japanese characters, 28×28, grey, 10 kinds.",
    paper="Clanuwat et al. 2018, arXiv:1812.01718",
)
