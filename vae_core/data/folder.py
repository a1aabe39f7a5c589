"""The person's own images: a folder or a .zip, folders in it becoming labels, or parts."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vae_core.config import DataConfig
from vae_core.data.archive import open_zip
from vae_core.data.dataset import Dataset, ImageSet, Progress
from vae_core.data.decode import Target
from vae_core.data.listing import LOOKING, Listing, labels_from, list_folder, skipped_note
from vae_core.data.own_parts import TEST, TRAIN, VALIDATION, divided, own_parts
from vae_core.data.prepared import prepare_files
from vae_core.data.reading import why
from vae_core.data.source import source
from vae_core.data.splits import assemble
from vae_core.errors import UserError
from vae_core.locations import data_folder, uploads_folder

IMAGE_SIZE = 64


@source(
    "folder",
    label="Your images",
    blurb="A folder or a .zip of your own; folders inside it become labels, train and test parts.",
    origin="own",
    image_shape=(0, IMAGE_SIZE, IMAGE_SIZE),
)
def load_folder(config: DataConfig, progress: Progress) -> Dataset:
    """The pictures that `data_dir` names, brought to one size; grey where all of them are grey.

    Folders named train, validation and test are the parts; labels are the folders below them.

    Raises:
        UserError: when there is no such place, it cannot be read, is an unsafe zip, or holds
            fewer than two pictures.
    """
    if not config.data_dir:
        raise UserError(
            "Name the folder or .zip with your images as the data folder.", shell="--data-dir"
        )
    path = data_folder(config.data_dir)
    target = Target(config.image_size or IMAGE_SIZE, config.resize, config.channels)
    with _opened(path, progress) as listing:
        prepared = prepare_files("folder", listing, target, progress)
    skipped = sorted((*listing.skipped, *prepared.skipped), key=lambda skip: skip.name)
    total = len(listing) + len(listing.skipped)
    notes = (skipped_note(skipped, total),) if skipped else ()
    names = tuple(listing.names[i] for i in prepared.kept)
    if prepared.images is None or len(names) < 2:
        found = "only one image" if names else "no images"
        raise UserError(
            f"There {'is' if names else 'are'} {found} in {path}; at least 2 are needed, one to "
            "learn from and one to measure on. " + " ".join(notes or ("Add some images.",))
        )
    own, seen = own_parts(listing.names)
    everything = ImageSet(prepared.images, files=names)
    if own is None:
        labels, label_names = labels_from(names)
        pool = replace(everything, labels=labels)
        return assemble(
            "folder", pool, None, config, label_names=label_names, notes=(*notes, *seen)
        )
    parts, label_names, seen = divided(everything, own.take(prepared.kept))
    if TRAIN not in parts:
        raise UserError(f"None of the images in {path} that are to be learned from can be read.")
    return assemble(
        "folder",
        parts[TRAIN],
        parts.get(TEST),
        config,
        validation=parts.get(VALIDATION),
        label_names=label_names,
        notes=(*notes, *seen),
    )


@contextmanager
def _opened(path: Path, progress: Progress) -> Iterator[Listing]:
    progress(LOOKING, None)
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"There is no folder or .zip at {path}; check the path.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be reached: {why(error)}. Check its permissions.") from None
    if stat.S_ISDIR(kind):
        from_outside = path.is_relative_to(uploads_folder())
        yield list_folder(path, progress, links=not from_outside)
    elif stat.S_ISREG(kind):
        with open_zip(path) as listing:
            yield listing
    else:
        raise UserError(f"{path} is neither a folder nor a .zip; name one of these.")
