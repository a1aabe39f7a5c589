"""Pictures of a run's images: the thumbnails that it keeps, and some images of its data set.

GET `/live/thumbnails/{run_id}` gives all thumbnails, `/live/images/{run_id}/{split}?rows=…` the
images of these rows.

Only of a data set that a page has opened: no request makes the server load or download one. What
is not in memory is read for the rows that are asked for, never a whole part at once.
"""

from __future__ import annotations

import asyncio

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.cache import RunCache
from latent_workbench.live.engine import run_called
from latent_workbench.live.http import Refused, with_json_errors
from latent_workbench.live.models import ready_torch
from latent_workbench.shared.errors import redact
from vae_core.data import Dataset, ImageSet
from vae_core.data.dataset import Images
from vae_core.errors import UserError
from vae_core.imaging.png import require_png
from vae_core.runs import Run, layout

MOST_ROWS, COLUMNS = 256, 16
LARGEST_SIDE = 64
THUMBNAILS = layout.THUMBNAILS
HEADERS = {
    "Cache-Control": "private, max-age=3600",  # the address changes with the run's weights
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _load(run: Run) -> Dataset:
    ready_torch()
    from vae_core.run_data import dataset_of

    return dataset_of(run)


DATASETS: RunCache[Dataset] = RunCache(_load, layout.CONFIG, 2)
"""The data sets of the runs looked at last, shared by the pages and this route."""


def images_of(run: Run, split: str) -> Images:
    """The images of a part of the run's data set, loaded where need be: in the order of the
    survey that the run keeps of it, so that row i of one is image i of the other.

    Raises:
        UserError: when it is not present, is not the one trained on, or has no such part.
    """
    ready_torch()
    return _in_order(run, DATASETS.get(run), split)


def part_of_run(run: Run, split: str) -> ImageSet:
    """The images of a part with what is known of each, in the order of the data set, loaded where
    need be.

    Raises:
        UserError: as `images_of`.
    """
    ready_torch()
    from vae_core.loading import part_of

    return part_of(DATASETS.get(run), split)


def _in_order(run: Run, dataset: Dataset, split: str) -> Images:
    from vae_core.data.images import restore_order
    from vae_core.latent.survey import surveyed_hashes
    from vae_core.loading import part_of

    part, hashes = part_of(dataset, split), surveyed_hashes(run, split)
    return part.images if hashes is None else restore_order(part, hashes)


async def images(request: Request) -> Response:
    """The images at `rows` (numbers with commas between, at most 256) as one PNG, 16 in a row.

    The largest side of each is at most 64 px. 404 where no page has opened the data set yet.
    """
    run = run_called(request.path_params["run_id"])
    rows = read_rows(request.query_params.get("rows", ""))
    dataset = DATASETS.peek(run)
    if dataset is None:
        raise Refused(404, f"The images of run {run.id!r} are not open.")
    found = await asyncio.to_thread(_in_order, run, dataset, request.path_params["split"])
    if rows.max() >= found.shape[0]:
        raise UserError(f"There are {found.shape[0]} images, counted from 0.")
    channels = run.config().data.shown_channels
    body = await asyncio.to_thread(sprite, found, rows, channels)
    return Response(body, media_type="image/png", headers=HEADERS)


def read_rows(text: str) -> np.ndarray:
    """The numbers of a request: int64 [M], 1 ≤ M ≤ 256, none negative.

    Raises:
        UserError: when the text says something else.
    """
    words = text.split(",", MOST_ROWS)
    if len(words) > MOST_ROWS:
        raise UserError(f"At most {MOST_ROWS} images can be asked for at once.")
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise UserError("rows has to be numbers with commas between them.")
    return np.array(words, np.int64)


def sprite(images: Images, rows: np.ndarray, channels: tuple[int, ...] | None = None) -> bytes:
    """The images at `rows` [M], none larger than 64 px a side, 16 in a row, as PNG.

    Args:
        channels: as of `shown`.
    """
    from vae_core.imaging.png import tile, to_png
    from vae_core.imaging.resize import shown, thumbnails

    small = thumbnails(shown(images.gather(rows), channels), LARGEST_SIDE)
    return to_png(tile(small, min(COLUMNS, len(rows))))


# --- thumbnails -----------------------------------------------------------------------------------


async def thumbnails(request: Request) -> Response:
    """The run's thumbnails as one PNG, 50 in a row; 404 where there are none.

    The browser keeps them and asks each time whether they are still the same.
    """
    try:
        run = run_called(request.path_params["run_id"])
    except UserError as error:
        raise Refused(404, redact(error)) from None
    version = run.version(THUMBNAILS)
    if version is None:
        raise Refused(404, f"Run {run.id!r} keeps no thumbnails.")
    headers = {"ETag": f'"{version:x}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        png = await asyncio.to_thread(read_png, run, THUMBNAILS)
    except OSError as error:
        raise Refused(
            404, f"The thumbnails of run {run.id!r} cannot be read: {redact(error)}."
        ) from None
    return Response(png, media_type="image/png", headers=headers)


def read_png(run: Run, name: str) -> bytes:
    """A picture of a run, once it is sure that it is one.

    Raises:
        OSError: when it is missing, no file of the run, or no PNG of a size that may be shown.
    """
    png = run.read(name)
    require_png(png)
    return png


def image_routes() -> list[BaseRoute]:
    """The routes of the images."""
    return [
        Route("/images/{run_id}/{split}", with_json_errors(images)),
        Route("/thumbnails/{run_id}", with_json_errors(thumbnails)),
    ]
