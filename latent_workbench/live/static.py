"""GET `/live/static/{version}/{path}`: the JavaScript modules of the live components.

The version is a hash of all of them, and modules name each other by relative addresses: an update
is seen at once, and a browser keeps what has not changed.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.http import Refused, with_json_errors

LIVE = "live"
"""What all live routes lie under, one step below the app's root, beside its pages."""

PACKAGE = Path(__file__).resolve().parent.parent
FILES = ("components/*/*.js", "live/protocol.json", "shared/glossary.json")
TYPES = {".js": "text/javascript", ".json": "application/json"}

IMPORT = re.compile(r'^(?:import|\}) [^;"]*?"(\.[^"]+)"', re.MULTILINE)
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@cache
def modules() -> dict[str, bytes]:
    """Every file that is served, by its path in this package."""
    paths = (path for pattern in FILES for path in sorted(PACKAGE.glob(pattern)))
    return {path.relative_to(PACKAGE).as_posix(): path.read_bytes() for path in paths}


@cache
def version() -> str:
    """A hash of the names and contents of all modules."""
    every = hashlib.sha256()
    for path, body in modules().items():
        every.update(f"{path}\0{len(body)}\0".encode() + body)
    return every.hexdigest()[:16]


def imported(path: str) -> list[str]:
    """The module at `path` and all that it imports, directly or not; itself first."""
    found = [path]
    for each in found:  # grows on the way
        folder = PurePosixPath(each).parent
        names = IMPORT.findall(modules()[each].decode())
        found += dict.fromkeys(
            other for name in names if (other := normpath(folder / name)) not in found
        )
    return found


def addresses(path: str) -> list[str]:
    """Where a page finds the module at `path` and all that it imports, from the app's root."""
    return [f"{LIVE}/static/{version()}/{each}" for each in imported(path)]


async def module(request: Request) -> Response:
    """One module; 404 for another version's, so that what a browser keeps is never a mixture."""
    path = request.path_params["path"]
    if request.path_params["version"] != version() or path not in modules():
        raise Refused(404, "There is no such module in this version of the app.")
    return Response(modules()[path], media_type=TYPES[PurePosixPath(path).suffix], headers=FOREVER)


def static_routes() -> list[BaseRoute]:
    """The route of the modules."""
    return [Route("/static/{version}/{path:path}", with_json_errors(module))]
