"""Small picture files for tests of the data folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from latent_workbench.live.upload_sessions import SessionUploads
from vae_core.data.uploads import Announced, Upload


def picture(seed: int = 0, *, mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    """A smooth picture of (width, height) `size` that differs by `seed`."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    planes = [(x * 5 + y * k + seed * 37) % 200 + 20 for k in (3, 7, 11)]
    colour = Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))
    return colour.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(seed: int = 0, mode: str = "RGB") -> bytes:
    """The bytes of a small PNG."""
    return encoded(picture(seed, mode=mode))


def lay_out(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` below `root`, folders and all."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` into a zip, under exactly these names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def bring(uploads: SessionUploads, name: str, content: bytes) -> Upload:
    """A file that a session uploads, kept."""
    upload = uploads.begin([Announced(name, len(content))])
    with upload.receiving(0) as out:
        out.write(content)
    uploads.finish(upload)
    return upload
