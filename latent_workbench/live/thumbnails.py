"""GET `/live/thumbnails/{run_id}`: small pictures of the images that a run keeps encodings of."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.cache import version_of
from latent_workbench.live.engine import run_called
from latent_workbench.live.http import Refused, answered
from latent_workbench.shared.without_paths import without_paths
from vae_core.errors import UserError
from vae_core.imaging.png import require_png
from vae_core.runs import Run, layout

THUMBNAILS = layout.THUMBNAILS


async def thumbnails(request: Request) -> Response:
    """The run's thumbnails as one PNG, 50 in a row; 404 where there are none.

    The browser keeps them and asks each time whether they are still the same.
    """
    try:
        run = run_called(request.path_params["run_id"])
    except UserError as error:
        raise Refused(404, without_paths(error)) from None
    version = version_of(run, THUMBNAILS)
    if version is None:
        raise Refused(404, f"Run {run.id!r} keeps no thumbnails.")
    headers = {"ETag": f'"{version:x}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        png = await asyncio.to_thread(picture, run, THUMBNAILS)
    except OSError as error:
        raise Refused(
            404, f"The thumbnails of run {run.id!r} cannot be read: {without_paths(error)}."
        ) from None
    return Response(png, media_type="image/png", headers=headers)


def picture(run: Run, name: str) -> bytes:
    """A picture of a run, once it is sure that it is one.

    Raises:
        OSError: when it is missing, no file of the run, or no PNG of a size that may be shown.
    """
    png = run.read(name)
    require_png(png)
    return png


def thumbnail_routes() -> list[BaseRoute]:
    """The route of the thumbnails."""
    return [Route("/thumbnails/{run_id}", answered(thumbnails))]
