"""Images that no run has seen, read as a run's own were: no split is made, one is enough."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vae_core.config import DataConfig
from vae_core.data.binarised import binarised_part
from vae_core.data.columns import joined
from vae_core.data.dataset import Images, ImageSet
from vae_core.data.described import describe, said_of, without
from vae_core.data.images import concatenate
from vae_core.data.meanings import FOLDER, Meanings, Texts
from vae_core.data.prepare import prepare_files
from vae_core.data.sets.folder import open_images
from vae_core.data.shaping import kept_survey, shaped_as
from vae_core.errors import UserError
from vae_core.imaging.kinds import readable
from vae_core.imaging.survey import together
from vae_core.progress import Progress, no_progress


def load_new_images(
    paths: Sequence[Path],
    config: DataConfig,
    shape: tuple[int, int, int],
    progress: Progress = no_progress,
) -> tuple[ImageSet, Texts | None, tuple[str, ...]]:
    """All pictures in folders, archives and single files; the names of their labels, where tables
    or the files themselves say any, as `Meanings.labels`; and notes on what was left out.

    Args:
        config: of the run whose model they are for. shape: (C, H, W) of its images.

    Raises:
        UserError: where a path leads nowhere or holds no picture at all.
    """
    pieces: list[Images] = []
    boxes: list[np.ndarray | None] = []
    files: list[str] = []
    notes: list[str] = []
    said: list[Meanings] = []
    with ExitStack() as stack:
        opened = [stack.enter_context(open_images(path, progress, config.pages)) for path in paths]
        tables = [said_of(listing, progress) for listing in opened]
        listings = [without(a, told.used) for a, told in zip(opened, tables, strict=True)]
        found = together(kept_survey(listing, progress) for listing in listings)
        target, lost = shaped_as(config, shape, found)
        all_prepared = [prepare_files("new", each, target, progress) for each in listings]
    for path, told, prepared in zip(paths, tables, all_prepared, strict=True):
        if prepared.images is None:
            notes.append(f"There are no images in {path}.")
        else:
            pieces.append(prepared.images)
            boxes.append(prepared.boxes if config.mask_padding else None)
            column = config.label_column
            there = column is None or column in (*told.texts, FOLDER)
            said.append(describe(told.take(prepared.kept), None, column if there else None))
            prefix = f"{path.name}/" if len(paths) > 1 and not path.is_file() else ""
            files += [prefix + name for name in prepared.files]
        notes += (*prepared.notes, *told.notes)
    if not pieces:
        raise UserError(" ".join((*notes, f"What can be read is {readable()}.")))
    images = pieces[0] if len(pieces) == 1 else concatenate(pieces)
    known = [each for each in boxes if each is not None]
    box = np.concatenate(known) if len(known) == len(boxes) else None
    columns = joined(
        (each.columns, piece.shape[0]) for each, piece in zip(said, pieces, strict=True)
    )
    labels = None
    if any(each.labels is not None for each in said):
        labels = np.concatenate(
            [
                np.full(piece.shape[0], None, "O") if each.labels is None else each.labels
                for each, piece in zip(said, pieces, strict=True)
            ]
        )
    seen = ImageSet(images, files=tuple(files), boxes=box, columns=columns)
    return binarised_part(seen, config.binarise), labels, (*notes, *lost)
