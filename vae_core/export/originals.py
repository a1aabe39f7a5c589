"""A choice of images to take along: a list of their files, or a zip of the files themselves."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from vae_core.data.dataset import Images
from vae_core.data.remote import brought_here
from vae_core.data.sets.folder import open_images
from vae_core.errors import UserError
from vae_core.imaging.kinds import NotAnImage
from vae_core.imaging.listing import Listing
from vae_core.imaging.png import to_png
from vae_core.imaging.reading import Place, Refused, read_whole
from vae_core.latent.survey import Survey
from vae_core.names import readable
from vae_core.progress import Progress, no_progress
from vae_core.runs import Run, in_words
from vae_core.units import grouped

MOST_BYTES = 500_000_000
"""Of the files in one zip, which a browser is given at once."""

_NUMBERED = re.compile(r"#[^/]*$")


def file_list(survey: Survey, rows: np.ndarray) -> bytes:
    """The names of the images at `rows`, one a line, as UTF-8."""
    names = (survey.name(int(row)).replace("\n", " ") for row in rows)
    return "".join(f"{name}\n" for name in names).encode()


def zip_images(
    run: Run,
    survey: Survey,
    rows: np.ndarray,
    images: Images,
    to: BinaryIO,
    most: int = MOST_BYTES,
    progress: Progress = no_progress,
) -> str:
    """Write the images at `rows` of a survey into a zip, one file after the other in memory.

    Where the data set is a folder or an archive of files, they are these files, byte by byte and
    under their names; a file of several pictures comes once. Elsewhere, as of MNIST, they are the
    images as the model sees them, as PNG.

    Args:
        images: what the rows of the survey show.
        most: bytes that the files may have together.

    Returns:
        a sentence on what the zip holds.

    Raises:
        UserError: when the files are too large together, or are no longer there.
    """
    if len(rows) == 0:
        raise UserError("Nothing is selected; select at least one image.")
    config = run.config().data
    if not survey.files or not config.data_dir:
        _write(_as_png(survey, rows, images), len(rows), most, to, progress)
        return f"{in_words(grouped(len(rows)), survey.split)}, as the model sees them."
    wanted = dict.fromkeys(survey.files[int(row)] for row in rows)
    with (
        brought_here(config.data_dir, progress) as path,
        open_images(path, progress, config.pages) as listing,
    ):
        places = {name: i for i, name in enumerate(listing.names) if name in wanted}
        if gone := len(wanted) - len(places):
            raise UserError(
                f"{grouped(gone)} of the {grouped(len(wanted))} files are no longer in "
                f"{path.name}. Put back the images that the run was trained on."
            )
        _bounded(sum(int(listing.stamps[place, 0]) for place in places.values()), most)
        files = _originals(listing, [places[name] for name in wanted])
        count = _write(files, len(wanted), most, to, progress)
    return f"{grouped(count)} original file{'' if count == 1 else 's'}."


def safe_name(name: str) -> str:
    """A name that no program unpacks outside the folder it was asked to unpack into."""
    parts = re.split(r"[/\\]", readable(name).replace("\0", "").replace(":", "_"))
    kept = [part for part in parts if part.strip(". ")]
    return str(PurePosixPath(*kept)) if kept else "image"


def _originals(listing: Listing, places: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in which pictures lie, each once."""
    seen: set[str] = set()
    for place in places:
        name = listing.names[place]
        try:
            picture = listing.read(place)
            found, file = picture.file, _NUMBERED.sub("", name)
            key = found.path if isinstance(found, Place) else file
            if key in seen:
                continue
            seen.add(key)
            if isinstance(found, Place):
                found = read_whole(found.path, stamp=found.stamp)
        except (NotAnImage, Refused, OSError) as error:
            raise UserError(f"{readable(name)} cannot be read: {error}.") from None
        yield file, found


def _as_png(survey: Survey, rows: np.ndarray, images: Images) -> Iterator[tuple[str, bytes]]:
    for row in rows:
        name = safe_name(survey.name(int(row)))
        yield f"{name}.png", to_png(images.gather(np.array([row]))[0])


def _write(
    files: Iterable[tuple[str, bytes]], count: int, most: int, to: BinaryIO, progress: Progress
) -> int:
    """Pictures are compressed already: they are stored as they are. Returns how many files."""
    names: set[str] = set()
    total = 0
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            progress("Packing the files", min(1.0, len(names) / count))
            total += len(content)
            _bounded(total, most)
            unique = safe_name(name)
            while unique in names:
                unique = f"{len(names)}-{unique}"
            names.add(unique)
            archive.writestr(unique, content)
    return len(names)


def _bounded(total: int, most: int) -> None:
    if total > most:
        raise UserError(
            f"These files have {total / 1e6:.0f} MB together, and {most / 1e6:.0f} fit into one "
            "zip. Select fewer, or take the list of their names and copy them yourself."
        )
