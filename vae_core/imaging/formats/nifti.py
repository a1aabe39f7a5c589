"""NIfTI: the slices of volumes, as they were taken, upright."""

from __future__ import annotations

import gzip
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.numbers import MOST_BYTES, require_picture

GZIP = b"\x1f\x8b"


class NiftiSlices:
    """The slices of an open NIfTI along its third axis, volume after volume. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        import nibabel
        from nibabel.filebasedimages import ImageFileError
        from nibabel.spatialimages import HeaderDataError

        try:
            packed = file.read(2) == GZIP
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            kind = _kind(stream)
            image = kind.from_file_map({"image": nibabel.FileHolder(fileobj=stream)}, mmap=False)
            self._proxy: Any = image.dataobj
            self._axes = nibabel.aff2axcodes(image.affine)
            shape, dtype = tuple(image.shape), image.get_data_dtype()
        except MemoryError:
            raise
        except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, KeyError) as error:
            raise NotAnImage(f"no NIfTI that can be read: {_first_line(error)}") from None
        if len(shape) < 2 or 0 in shape or any(side < 0 for side in shape):
            raise NotAnImage(f"a volume of shape {'×'.join(map(str, shape))}, which has no slices")
        self._shape = (*shape, 1) if len(shape) == 2 else shape
        require_picture(shape[0], shape[1], 1, dtype.itemsize)
        self._most = int(np.prod(self._shape[:3])) * 8
        self._packed, self._volume = packed, (-1, None)

    def contents(self) -> Contents:
        """How many slices there are."""
        return Contents(int(np.prod(self._shape[2:])))

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """A slice [H, W], or [H, W, C] of a coloured volume, with the scale of the file applied.

        Turned so that the patient's head or front is up and his left is right, as doctors look at
        it.
        """
        volume, level = divmod(index, self._shape[2])
        rest = np.unravel_index(volume, self._shape[3:], order="F") if self._shape[3:] else ()
        try:
            plane = np.asarray(self._slice(level, tuple(int(i) for i in rest)))
        except (OSError, EOFError, ValueError) as error:
            raise NotAnImage(f"damaged: {_first_line(error)}") from None
        if plane.dtype.names:  # colours
            plane = np.stack([plane[name] for name in plane.dtype.names], axis=-1)
        if plane.dtype == np.float64:
            plane = plane.astype(np.float32)
        return _upright(plane, self._axes[:2])

    def close(self) -> None:
        """Forget what was read."""
        self._volume = (-1, None)

    def _slice(self, level: int, rest: tuple[int, ...]) -> Any:
        if len(self._proxy.shape) == 2:
            return self._proxy[...]
        if not self._packed or self._most > MOST_BYTES:
            return self._proxy[(slice(None), slice(None), level, *rest)]
        # Of a packed file a slice costs as much as all before it, so a volume is kept.
        number = hash(rest)
        if self._volume[0] != number:
            self._volume = (number, self._proxy[(slice(None), slice(None), slice(None), *rest)])
        return self._volume[1][:, :, level]  # type: ignore[index]


def _kind(stream: Any) -> Any:
    """NIfTI-1 or NIfTI-2, by the size that its head begins with."""
    import nibabel

    head = stream.read(4)
    stream.seek(0)
    sizes = {int.from_bytes(head, "little"), int.from_bytes(head, "big")}
    if 540 in sizes:
        return nibabel.Nifti2Image
    if 348 in sizes:
        return nibabel.Nifti1Image
    raise ValueError("its head is none of NIfTI")


def _upright(plane: np.ndarray, axes: tuple[str | None, ...]) -> np.ndarray:
    """A plane [first axis, second axis, …] as rows and columns, given what its axes lead to."""
    plane = np.swapaxes(plane, 0, 1)  # columns run along the first axis, as it is stored
    across, down = axes
    if down in ("S", "A", "R"):
        plane = plane[::-1]
    if across in ("R", "S", "P"):
        plane = plane[:, ::-1]
    return plane


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


formats.add(
    Format(
        name="nifti",
        label="NIfTI",
        blurb="Slices along the third axis, of every volume; scale and intercept applied.",
        endings=(".nii", ".nii.gz"),
        library="nibabel",
        extra="medical",
        modules=("nibabel",),
        pictures="each slice of each volume",
        build=NiftiSlices,
        part="slice",
        several=True,
        marks=((344, b"n+1\0"), (4, b"n+2\0\r\n\x1a\n")),
        order=25,
    )
)
