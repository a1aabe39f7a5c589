"""Who may open a live socket, those whom Streamlit lets open its own; and how one is cut."""

from __future__ import annotations

import asyncio
from urllib.parse import urlparse

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket
from streamlit.web.server.server_util import is_url_from_allowed_origins
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed


def is_allowed(connection: HTTPConnection) -> bool:
    """Streamlit's rule: an allowed host, and an origin that is absent, the same, or listed.

    Streamlit applies it to its own socket only; routes added by an app get no check at all, and
    a browser lets any page open a socket to localhost.
    """
    origin, host = connection.headers.get("origin"), connection.headers.get("host")
    if not is_host_allowed(host):
        return False
    return origin is None or urlparse(origin).netloc == host or is_url_from_allowed_origins(origin)


async def admits(connection: HTTPConnection) -> bool:
    """As `is_allowed`, beside the event loop.

    For an origin that is neither the same nor local, Streamlit's rule looks up this machine's
    address in the network, and where that does not answer, everybody would wait two seconds.
    """
    return await asyncio.to_thread(is_allowed, connection)


def cut(websocket: WebSocket) -> None:
    """End a connection whose client does not read.

    ASGI has no word for it: a close waits until everything before it has been read, which here
    is never, and the connection with its buffers would stay for as long as the client likes. So
    this reaches for the transport behind uvicorn's `receive`; another server closes in its own way.
    """
    transport = getattr(getattr(websocket._receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
