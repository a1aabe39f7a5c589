"""Images that no run has seen, read as a run's own were: no split is made, one is enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vae_core.config import DataConfig
from vae_core.data.dataset import Images, ImageSet
from vae_core.data.images import concatenate
from vae_core.data.prepare import prepare_files
from vae_core.errors import UserError
from vae_core.imaging.fit import Target
from vae_core.imaging.listing import open_pictures
from vae_core.locations import uploads_folder
from vae_core.progress import Progress, no_progress


def load_new_images(
    paths: Sequence[Path],
    config: DataConfig,
    shape: tuple[int, int, int],
    progress: Progress = no_progress,
) -> tuple[ImageSet, tuple[str, ...]]:
    """All pictures in folders, archives and single files, and notes on what was left out.

    Args:
        config: of the run whose model they are for. shape: (C, H, W) of its images.

    Raises:
        UserError: where a path leads nowhere or holds no picture at all.
    """
    target = Target(max(shape[1:]), config.resize, 1 if shape[0] == 1 else 3)
    pieces: list[Images] = []
    files: list[str] = []
    notes: list[str] = []
    for path in paths:
        links = not path.is_relative_to(uploads_folder())
        with open_pictures(path, progress, links, config.pages) as listing:
            prepared = prepare_files("new", listing, target, progress)
        notes += prepared.notes
        if prepared.images is not None:
            pieces.append(prepared.images)
            prefix = f"{path.name}/" if len(paths) > 1 and not path.is_file() else ""
            files += [prefix + name for name in prepared.files]
    if not pieces:
        where = ", ".join(map(str, paths[:3]))
        raise UserError(f"There are no images in {where}. " + " ".join(notes))
    images = pieces[0] if len(pieces) == 1 else concatenate(pieces)
    return ImageSet(images, files=tuple(files)), tuple(notes)
