"""GET `/live/arrays/{name}`: the numbers behind a component that are too many for its message.

They are named by their content, so a browser asks once; the app keeps those used last.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.http import Refused, with_json_errors

SMALL = 64 * 1024
"""Bytes of an array that travels with the message: up to so many, asking again costs more."""

MOST_BYTES = 512 * 2**20
"""Kept for browsers to fetch: twenty scatters of a million points."""

HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Shelf:
    """Bytes by a hash of them, at most `most` in all; those asked for longest ago go first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._held = most, 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, body: bytes) -> str:
        """Keep `body`; returns its name."""
        name = hashlib.blake2b(body, digest_size=16).hexdigest()
        with self._lock:
            if name not in self._bodies:
                self._bodies[name] = body
                self._held += len(body)
            self._bodies.move_to_end(name)
            while self._held > self._most and len(self._bodies) > 1:
                self._held -= len(self._bodies.popitem(last=False)[1])
        return name

    def get(self, name: str) -> bytes | None:
        """What is kept under `name`."""
        with self._lock:
            if name in self._bodies:
                self._bodies.move_to_end(name)
            return self._bodies.get(name)


ARRAYS = Shelf()
"""Shared by the components that send and the route that hands out."""


def sent(array: np.ndarray, dtype: str = "<f4") -> str | dict[str, str]:
    """An array as `shared/arrays.js` reads it: base64 where it is small, else its name."""
    body = np.ascontiguousarray(array, dtype).tobytes()
    if len(body) <= SMALL:
        return base64.b64encode(body).decode()
    return {"array": ARRAYS.put(body)}


async def array(request: Request) -> Response:
    """The bytes of an array; 404 where it is not kept, or no longer."""
    body = ARRAYS.get(request.path_params["name"])
    if body is None:
        raise Refused(404, "These numbers are no longer kept; reload the page.")
    return Response(body, media_type="application/octet-stream", headers=HEADERS)


def array_routes() -> list[BaseRoute]:
    """The route of the arrays."""
    return [Route("/arrays/{name}", with_json_errors(array))]
