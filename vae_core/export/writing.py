"""Exports on their way out: to a folder, or to a browser as one file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from vae_core.errors import UserError
from vae_core.export.source import Export
from vae_core.files import replacing


def write_export(made: Export, folder: Path, name: str) -> Path:
    """Write one file as `folder/name.suffix`, several into `folder/name/`; each atomically. One
    file may also be called by its own name: where `folder` ends like it and is no folder.

    Returns:
        what was written: the file or the folder.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    single = _single(made, name)
    named = single and folder.suffix == Path(single).suffix and not folder.is_dir()
    target = folder if named else folder / (single or name)
    paths = {target if single else target / file: data for file, data in made.files.items()}
    try:
        for path, data in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(data)
    except OSError as error:
        raise UserError(
            f"{target} could not be written: {error.strerror or error}. "
            "Free some space or choose another folder."
        ) from None
    return target


def as_download(made: Export, name: str) -> tuple[str, bytes]:
    """A name and the bytes of one file; several files come as a zip."""
    single = _single(made, name)
    if single:
        return single, next(iter(made.files.values()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in made.files.items():
            archive.writestr(f"{name}/{file}", data)
    return f"{name}.zip", buffer.getvalue()


def _single(made: Export, name: str) -> str:
    """The name of the one file of an export, "" where there are several."""
    if len(made.files) > 1:
        return ""
    return name + Path(next(iter(made.files))).suffix
