"""DICOM: every frame, in the units of its file, such as Hounsfield's."""

from __future__ import annotations

import importlib
from typing import Any, BinaryIO

import numpy as np

from vae_core.imaging.kinds import Contents, Format, NotAnImage, formats
from vae_core.imaging.numbers import require_picture

_SAID = {
    "Modality": "modality", "StudyDescription": "study",
    "SeriesDescription": "series", "InstanceNumber": "instance", "SliceLocation": "location",
    "BodyPartExamined": "body part", "ViewPosition": "view",
}  # fmt: skip
"""Tags that become columns. Nothing that names a patient is among them."""


class DicomFrames:
    """The frames of an open DICOM file. See `kinds.Opened`."""

    def __init__(self, file: BinaryIO) -> None:
        import pydicom

        self._file = file
        try:
            self._head: Any = pydicom.dcmread(
                file, defer_size=4096, stop_before_pixels=True, force=False
            )
        except MemoryError:
            raise
        except Exception as error:  # its reader raises almost anything on damaged files
            raise NotAnImage(f"no DICOM that can be read: {_first_line(error)}") from None
        if "Rows" not in self._head or "Columns" not in self._head:
            raise NotAnImage("a DICOM file without a picture")
        self._frames = max(int(self._head.get("NumberOfFrames", 1) or 1), 1)
        samples = int(self._head.get("SamplesPerPixel", 1) or 1)
        bits = int(self._head.get("BitsAllocated", 16) or 16)
        require_picture(int(self._head.Rows), int(self._head.Columns), samples, -(-bits // 8))

    def contents(self) -> Contents:
        """How many frames there are, and what the file says of them."""
        from vae_core.imaging.tables import as_cell

        cells = {
            name: (as_cell(_plain(self._head.get(tag))),) * self._frames
            for tag, name in _SAID.items()
            if self._head.get(tag) not in (None, "")
        }
        return Contents(self._frames, (), None, cells)

    def values(self, index: int, least: tuple[int, int] | None) -> np.ndarray:
        """A frame [H, W] or [H, W, 3]: what slope and intercept or a table make of it."""
        pixels: Any = importlib.import_module("pydicom.pixels")

        try:
            self._file.seek(0)
            values = pixels.pixel_array(self._file, index=index)
            if self._head.get("PhotometricInterpretation") == "MONOCHROME1":
                values = _inverted(values, self._head)
            if values.ndim == 2 and (
                "RescaleSlope" in self._head or "ModalityLUTSequence" in self._head
            ):
                values = pixels.apply_modality_lut(values, self._head).astype(np.float32)
        except (MemoryError, NotAnImage):
            raise
        except Exception as error:
            raise NotAnImage(
                f"damaged, or compressed in a way that is not read: {_first_line(error)}"
            ) from None
        return values

    def close(self) -> None:
        """Nothing is open but the file."""


def _inverted(values: np.ndarray, head: Any) -> np.ndarray:
    """Values whose lowest is white, with the lowest black: within the bits that are stored."""
    bits = int(head.get("BitsStored", 16))
    signed = int(head.get("PixelRepresentation", 0))
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return (sum(ends) - values.astype(np.int64)).astype(values.dtype)


def _plain(value: Any) -> Any:
    return float(value) if hasattr(value, "real") else str(value)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


formats.add(
    Format(
        name="dicom",
        label="DICOM",
        blurb="Every frame, in Hounsfield or other units of the file; MONOCHROME1 is inverted.",
        endings=(".dcm", ".dicom", ".ima"),
        library="pydicom",
        extra="medical",
        modules=("pydicom",),
        pictures="each frame",
        labels="modality, series and the like are columns",
        build=DicomFrames,
        part="frame",
        several=True,
        marks=((128, b"DICM"),),
        order=26,
    )
)
