"""CIFAR-10's own files: six pickles of 32×32 colour images, the published ones or others."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.data.pickled import Damaged, Refused, load_plain
from vae_core.data.reading import Refused as NotRead
from vae_core.data.reading import read_whole
from vae_core.errors import UserError

SHAPE = (3, 32, 32)
CLASSES = 10


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
    if len(labels) and not (labels.min() >= 0 and labels.max() < CLASSES):
        raise ValueError(f"{name} has labels other than 0 to {CLASSES - 1}")
    return images, labels.astype(np.int64)
