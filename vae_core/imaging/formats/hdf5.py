"""HDF5: the data sets in it that hold pictures. Nothing outside the file is opened."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.named_arrays import pictures_among
from vae_core.imaging.numbers import MOST_BYTES
from vae_core.imaging.tables import as_labels, contents_of

MOST_DATASETS = 10_000
CHUNKS = 64 * 2**20
"""Bytes of unpacked chunks that are kept, for a chunk may hold several pictures."""


class Hdf5Rows:
    """The pictures of all data sets of an open HDF5 file. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        import h5py

        try:
            self._file = h5py.File(file, "r", rdcc_nbytes=CHUNKS)
            self._sets = self._datasets()
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise NotAnImage(f"no HDF5 that can be read: {_first_line(error)}") from None
        facts = {
            name: (each.shape, f"{each.dtype.kind}{each.dtype.itemsize}")
            for name, each in self._sets.items()
        }
        self._arrays = pictures_among(facts)
        self._starts = np.cumsum([0, *(each.layout.count for each in self._arrays)])

    def contents(self) -> Contents:
        """Every row of every data set of pictures, with the labels beside them."""
        labels = [self._labels(each.labels, each.layout.count) for each in self._arrays]
        return contents_of([(each.folder, each.layout.count) for each in self._arrays], labels)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """One of them: [H, W, C]."""
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        array = self._arrays[which]
        place = array.layout.place(index - int(self._starts[which]))
        try:
            return array.layout.upright(np.asarray(self._sets[array.name][place]))
        except (OSError, RuntimeError, ValueError) as error:
            raise NotAnImage(f"damaged: {_first_line(error)}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _datasets(self) -> dict[str, Any]:
        """Those that lie in the file itself; links are not followed."""
        import h5py

        found: dict[str, Any] = {}

        def look(name: str, each: Any) -> str | None:
            if len(found) >= MOST_DATASETS:
                return "enough"
            if isinstance(each, h5py.Dataset) and each.shape is not None and _lies_here(each):
                found[name] = each
            return None

        self._file.visititems(look)
        return found

    def _labels(self, name: str, count: int) -> tuple[str, ...] | None:
        found = self._sets.get(name)
        if found is None or found.size != count:
            return None
        try:
            return as_labels(_texts(found[()]).reshape(-1))
        except (OSError, RuntimeError, ValueError):
            return None


def _lies_here(dataset: Any) -> bool:
    """Whether all of it lies in this file, in chunks that memory can hold."""
    if dataset.external or dataset.is_virtual:
        return False
    chunk = int(np.prod(dataset.chunks or (1,), dtype=object)) * dataset.dtype.itemsize
    return chunk <= MOST_BYTES


def _texts(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return values
    return np.array([
        each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each)
        for each in values.reshape(-1)
    ])  # fmt: skip


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


formats.add(
    Format(
        name="hdf5",
        label="HDF5",
        blurb="Data sets as the arrays of .npy; links and what lies in other files are left alone.",
        endings=(".h5", ".hdf5", ".hdf", ".he5"),
        library="h5py",
        extra="hdf5",
        modules=("h5py",),
        pictures="each row of each data set",
        labels="a data set called labels, y or targets beside it",
        build=Hdf5Rows,
        part="row",
        several=True,
        order=24,
    )
)
