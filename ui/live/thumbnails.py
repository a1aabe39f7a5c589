"""GET `/live/thumbnails/{run_id}`: small pictures of the images that a run keeps encodings of."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from ui.live.cache import version_of
from ui.live.engine import run_called
from ui.live.http import Refused, answered
from ui.without_paths import without_paths
from vae_core.errors import UserError

THUMBNAILS = "thumbnails.png"


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
    return FileResponse(run.file(THUMBNAILS), media_type="image/png", headers=headers)


def thumbnail_routes() -> list[BaseRoute]:
    """The route of the thumbnails."""
    return [Route("/thumbnails/{run_id}", answered(thumbnails))]
