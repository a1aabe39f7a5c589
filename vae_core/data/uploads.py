"""Images that were uploaded in the browser, stored under the data folder for good."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vae_core.data.folders import data_folder
from vae_core.data.listing import has_image_name
from vae_core.errors import UserError

_CHUNK = 1 << 20


def save_upload(file: BinaryIO, name: str, root: Path | None = None) -> Path:
    """Store one uploaded file; a zip stays a file, an image gets a folder. See `save_uploads`."""
    return save_uploads([(name, file)], root)


def save_uploads(files: Iterable[tuple[str, BinaryIO]], root: Path | None = None) -> Path:
    """Store one uploaded zip, or loose images, under `<root>/uploads`.

    The name carries a hash of the content: the same upload twice is stored once, and another one
    never replaces it.

    Args:
        files: (name as the browser gave it, binary file) of each; read in chunks.
        root: the data folder; None takes the default one.

    Returns:
        A path for `DataConfig(dataset="folder", data_dir=…)`: the zip, or a folder of images.

    Raises:
        UserError: when nothing was uploaded, a file is neither zip nor image, a zip comes with
            other files, or nothing can be written here.
    """
    uploads = list(files)
    zips = [name for name, _ in uploads if name.lower().endswith(".zip")]
    if not uploads:
        raise UserError("Nothing was uploaded; choose a .zip or some images.")
    if zips and len(uploads) > 1:
        raise UserError(f"Upload {zips[0]} by itself: one .zip, or loose images, not both.")
    for name, _ in uploads:
        if not zips and not has_image_name(_plain(name)):
            raise UserError(f"{_plain(name)!r} is neither a .zip nor an image; leave it out.")
    folder = data_folder(root) / "uploads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(dir=folder, prefix=".uploading-"))
        try:
            return _store_zip(*uploads[0], working) if zips else _store_images(uploads, working)
        finally:
            shutil.rmtree(working, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"The upload could not be stored in {folder}: {error.strerror or error}. "
            "Free some space there or choose another data folder."
        ) from error


def _store_zip(name: str, file: BinaryIO, working: Path) -> Path:
    packed = working / "upload.zip"
    digest = _copy(file, packed)
    target = working.parent / f"{PurePosixPath(safe_name(name)).stem}-{digest[:12]}.zip"
    os.replace(packed, target)
    return target


def _store_images(uploads: list[tuple[str, BinaryIO]], working: Path) -> Path:
    inside = working / "images"
    inside.mkdir()
    content = hashlib.sha256()
    for i, (name, file) in enumerate(uploads):
        safe = safe_name(name)
        target = inside / safe
        if target.exists():  # two folders may hold files of one name
            target = inside / f"{i}-{safe}"
        content.update(f"{target.name}\0{_copy(file, target)}\0".encode())
    folder = working.parent / f"images-{content.hexdigest()[:12]}"
    if not folder.is_dir():
        inside.rename(folder)
    return folder


def _copy(file: BinaryIO, target: Path) -> str:
    """Stream `file` into `target`; the SHA-256 of it."""
    digest = hashlib.sha256()
    file.seek(0)
    with target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _plain(name: str) -> str:
    """The last part of a name that may come from any system."""
    return PurePosixPath(name.replace("\\", "/")).name


def safe_name(name: str) -> str:
    """A file name of at most 80 letters, digits, dots, dashes and underscores, never hidden."""
    text = unicodedata.normalize("NFKD", _plain(name)).encode("ascii", "ignore").decode()
    path = PurePosixPath(re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-") or "upload")
    suffix = path.suffix[:8]
    stem = path.name[: len(path.name) - len(path.suffix)] if path.suffix else path.name
    return (stem or "upload")[: 80 - len(suffix)] + suffix
