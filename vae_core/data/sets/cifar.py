"""CIFAR-10 and its own files: six pickles of 32×32 colour images, the published ones or others."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.data.download import fetch, unpack
from vae_core.data.plain_pickle import Damaged, Refused, load_plain
from vae_core.data.published import Arrays, Found, Published, Reader
from vae_core.data.source import datasets
from vae_core.errors import UserError
from vae_core.imaging.reading import Refused as NotRead
from vae_core.imaging.reading import read_whole
from vae_core.progress import Progress

SHAPE = (3, 32, 32)
LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """One batch: images uint8 [N, 3, 32, 32], labels int64 [N], and the md5 of the file.

    Raises:
        Damaged: when the file cannot be read, such as after a download that broke off.
        ValueError: when it holds something else; the message says what.
        OSError: when the file may not be read.
        UserError: when reading it would run a program.
    """
    try:
        data = read_whole(path)
        batch = load_plain(io.BytesIO(data))
    except NotRead as error:
        raise Damaged(f"{path.name} is {error}") from None
    except Refused as error:
        raise UserError(
            f"{path} was refused: it asks for {error}, which no images need, and could run a "
            "program. Remove it."
        ) from None
    except Damaged as error:
        raise Damaged(f"{path.name} is damaged: {error}") from None
    images, labels = _contents(path.name, batch)
    return images, labels, hashlib.md5(data, usedforsecurity=False).hexdigest()


def _contents(name: str, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(batch, dict):
        raise ValueError(f"{name} holds no dictionary")
    # Read back by Python 3 and written anew, the keys of Python 2 have become bytes.
    known = {key.decode("latin1") if isinstance(key, bytes) else key: v for key, v in batch.items()}
    if "data" not in known or "labels" not in known:
        raise ValueError(f"{name} lacks data or labels")
    if any(isinstance(each, list) for v in known.values() if isinstance(v, list) for each in v):
        raise ValueError(f"{name} holds lists of lists")  # few bytes can stand for billions of them
    try:
        images, labels = np.asarray(known["data"]), np.asarray(known["labels"])
        images = images.reshape(len(images), *SHAPE)
    except (ValueError, TypeError):
        raise ValueError(f"{name} holds no images of 3072 numbers each") from None
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {images.dtype} pixels and {labels.dtype} labels")
    if labels.shape != (len(images),):
        raise ValueError(f"{name} has {len(images)} images and {labels.size} labels")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(LABELS)):
        raise ValueError(f"{name} has labels other than 0 to {len(LABELS) - 1}")
    return images, labels.astype(np.int64)


def read_files(reader: Reader, folder: Path) -> Found | None:
    """The batches in `folder`. None also where all that are there are damaged: they came from no
    download of ours, which unpacks all or nothing, and hold nothing that another one would replace.
    """
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

    def part(listed: Sequence[Sequence[str]]) -> Arrays:
        columns = list(zip(*(batches[name][:2] for name, _ in listed), strict=True))
        return np.concatenate(columns[0]), np.concatenate(columns[1])

    others = tuple(name for name, md5 in published.items() if batches[name][2] != md5)
    return Found(part(reader.train_list), part(reader.test_list), others)


def download_files(reader: Reader, label: str, folder: Path, progress: Progress) -> None:
    """The one archive, unpacked beside itself: it holds `folder`."""
    archive = folder.parent / reader.filename
    fetch([reader.url], archive, reader.tgz_md5, label, progress)
    unpack(archive)


datasets.register(
    "cifar10",
    label="CIFAR-10",
    blurb="60 000 photographs, 32×32, colour, 10 kinds. Hard for a small VAE.",
    paper="Krizhevsky 2009, Learning multiple layers of features from tiny images",
    origin="download",
    image_shape=SHAPE,
    order=20,
)(
    Published(
        "cifar10",
        "CIFAR10",
        "cifar-10-batches-py",
        (50_000, 10_000),
        LABELS,
        read_files,
        download_files,
    )
)
