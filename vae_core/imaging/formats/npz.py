"""Several arrays as numpy packs them: `.npz`, read forwards by parts. Nothing in it can execute."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from vae_core.imaging.formats.npy import ArrayHead
from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.named_arrays import NamedArray, pictures_among
from vae_core.imaging.tables import as_labels, contents_of

MOST_ARRAYS = 10_000
MOST_LABELS = 2**28
"""Bytes of an array of them."""

_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NpzRows:
    """The pictures of all arrays of an open `.npz`, one after the other. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            raise NotAnImage(f"no .npz that can be read: {error}".rstrip(".")) from None
        infos = [each for each in self._zip.infolist() if each.filename.endswith(".npy")]
        if len(infos) > MOST_ARRAYS:
            raise NotAnImage(f"more than {MOST_ARRAYS:,} arrays")
        self._infos = {each.filename.removesuffix(".npy"): each for each in infos}
        self._heads = {name: head for name in self._infos if (head := self._head(name)) is not None}
        if self._infos and not self._heads:
            raise NotAnImage(
                "no array of pictures in it, but Python objects, which are never loaded"
            )
        self._open: tuple[str, BinaryIO, int] | None = None
        facts = {
            name: (head.shape, f"{head.dtype.kind}{head.dtype.itemsize}")
            for name, head in self._heads.items()
        }
        self._arrays = pictures_among(facts)
        self._starts = np.cumsum([0, *(each.layout.count for each in self._arrays)])

    def contents(self) -> Contents:
        """Every row of every array of pictures, with the labels beside them."""
        labels = [self._labels(each) for each in self._arrays]
        return contents_of([(each.folder, each.layout.count) for each in self._arrays], labels)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """One of them: [H, W, C]. The file is read forwards, and anew where it lies behind."""
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        array, row = self._arrays[which], index - int(self._starts[which])
        head = self._heads[array.name]
        if head.fortran:
            return array.layout.upright(self._whole(array.name)[array.layout.place(row)])
        size = int(np.prod(array.layout.shape)) * head.dtype.itemsize
        data = self._bytes(array.name, head.offset + row * size, size)
        return array.layout.upright(np.frombuffer(data, head.dtype))

    def close(self) -> None:
        """Let go of the archive."""
        self._zip.close()

    def _bytes(self, name: str, start: int, size: int) -> bytes:
        try:
            if self._open is None or self._open[0] != name or self._open[2] > start:
                self._open = (name, self._stream(name), 0)
            stream = self._open[1]
            stream.seek(start)  # it reads up to there
            data = stream.read(size)
            self._open = (name, stream, start + size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            self._open = None
            raise NotAnImage(f"damaged: {error}".rstrip(".")) from None
        if len(data) < size:
            raise NotAnImage("damaged: the array is cut short")
        return data

    def _stream(self, name: str) -> BinaryIO:
        info = self._infos[name]
        if info.flag_bits & 1 or info.compress_type not in _PACKED:
            raise NotAnImage("packed in a way that numpy does not")
        return self._zip.open(info)  # type: ignore[return-value]

    def _head(self, name: str) -> ArrayHead | None:
        """None for what holds no numbers, which numpy would have to execute."""
        try:
            with self._stream(name) as stream:
                head = ArrayHead(stream)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise NotAnImage(f"damaged: {error}".rstrip(".")) from None
        return None if head.dtype.hasobject else head

    def _whole(self, name: str) -> np.ndarray:
        head = self._heads[name]
        data = self._bytes(name, head.offset, head.nbytes)
        if head.fortran:
            return head.in_fortran_order(data)
        return np.frombuffer(data, head.dtype).reshape(head.shape)

    def _labels(self, array: NamedArray) -> tuple[str, ...] | None:
        head = self._heads.get(array.labels)
        if head is None or (head.fortran and len(head.shape) > 1):
            return None
        if np.prod(head.shape, dtype=object) != array.layout.count or head.nbytes > MOST_LABELS:
            return None
        return as_labels(self._whole(array.labels).reshape(-1))


formats.add(
    Format(
        name="npz",
        label="NumPy .npz",
        blurb="Arrays as in .npy under names; train, val and test in a name are parts.",
        endings=(".npz",),
        library="NumPy",
        pictures="each row of each array",
        labels="an array called labels, y or targets beside it",
        build=NpzRows,
        part="row",
        several=True,
        order=21,
    )
)
