"""MNIST's own file format: a head that tells the shape, then bytes; gzipped or not."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np

from vae_core.data.reading import Refused, read_whole

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

    Source: LeCun, The MNIST database, "file formats".

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
