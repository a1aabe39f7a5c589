"""The one guard before every route: host, origin, login and role, before anything is read.

`Guard` stands before the live routes, `HostGuard` before the whole server, Streamlit's own routes
included: those check no host, and look up this machine's addresses for each foreign origin.
"""

from __future__ import annotations

import asyncio
import logging
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from latent_workbench.live.connection import Connection
from latent_workbench.live.http import Refused
from latent_workbench.shared import access, hosts
from latent_workbench.shared.streamlit_private import get_max_widget_state_size_bytes

LOGGER = logging.getLogger(__name__)

MOST_MESSAGE = 4 * 2**20
"""Bytes of the largest message of a live socket."""

MOST_SOCKETS = 512
"""Live sockets at once; each may hold a message and a few answers, and is a file for the system."""

READ_TIMEOUT_S = 20.0
"""Longest that a client may take nothing of what it was sent before it is dropped."""

POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013

_PRIVATE = re.compile(
    r"(?<!/static)/(media|_stcore/(upload_file|metrics|agent|script-health-check))(/|$)"
)
"""Routes of Streamlit's that carry what somebody made or brought."""

_UPLOADS = re.compile(r"/_stcore/upload_file/")

_COMPUTES = re.compile(r"/(decode|encode|animation|looks|charts)/")
"""Live routes that answer what they are sent and keep nothing of it, or no longer than the session
lasts; by any other that is sent something, something is changed."""


class NotRead(OSError):
    """The client did not read what it was sent; Starlette takes it for one that has left."""


class Guard:
    """Before the live routes: who may ask, how large a message, how long a client may not read.

    A connection that is let in carries its visitor as `scope["visitor"]`.
    """

    def __init__(
        self, app: ASGIApp, read_timeout_s: float = READ_TIMEOUT_S, most_sockets: int = MOST_SOCKETS
    ) -> None:
        self._app = app
        self._patience_s = read_timeout_s
        self._free = most_sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a connection in, or tell it why not."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        safe = scope.get("method", "GET") in ("GET", "HEAD", "OPTIONS")
        writes = not safe and not _COMPUTES.match(
            scope["path"].removeprefix(scope.get("root_path", ""))
        )
        refusal = refused(HTTPConnection(scope), private=True, writes=writes)
        if refusal is not None:
            return await _refuse(refusal, scope, receive, send)
        connection = Connection(receive)
        patient = self._patient(connection, scope, send)
        try:
            if scope["type"] == "http":
                return await self._app(scope, receive, patient)
            if not self._free:
                return await WebSocketClose(TRY_AGAIN_LATER)(scope, receive, send)
            self._free -= 1
            try:
                connection.bound(MOST_MESSAGE)
                if who := scope["visitor"].get("email"):
                    LOGGER.info("%r opens %r", who, scope["path"])
                await self._app(scope, receive, patient)
            finally:
                self._free += 1
        except NotRead:
            return

    def _patient(self, connection: Connection, scope: Scope, send: Send) -> Send:
        """`send` for as long as the client reads."""

        async def patiently(message: Message) -> None:
            try:
                async with asyncio.timeout(self._patience_s):
                    await send(message)
                await connection.taken(self._patience_s)
            except TimeoutError:
                LOGGER.warning("A client of %r did not read and was dropped", scope["path"])
                connection.cut()
                await asyncio.sleep(0)  # let the server see it before the route ends
                raise NotRead from None

        return patiently


class HostGuard:
    """Before the whole server: host and origin, and login where Streamlit hands out files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a connection in, under the host that its browser knows, or tell it why not."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        path = scope["path"]
        private = bool(_PRIVATE.search(path))
        refusal = refused(HTTPConnection(scope), private, writes=bool(_UPLOADS.search(path)))
        if refusal is not None:
            return await _refuse(refusal, scope, receive, send)
        host = hosts.under_its_origin(Headers(scope=scope))
        if host is not None:
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["host"] = host
        Connection(receive).bound(get_max_widget_state_size_bytes())
        await self._app(scope, receive, send)


def refused(connection: HTTPConnection, private: bool, writes: bool = False) -> Refused | None:
    """Why a connection is not let in; None where it is.

    Args:
        private: it asks for something that is shown to who has logged in.
        writes: it brings something, which readers may not.
    """
    headers = connection.headers
    problem = hosts.refusal(headers)
    if problem:
        return Refused(403, problem)
    if not private:
        return None
    if "origin" not in headers and headers.get("sec-fetch-site") == "cross-site":
        return Refused(403, hosts.FOREIGN_ORIGIN)  # such as a picture that another site embeds
    try:
        visitor = access.visitor_of(headers, connection.cookies)
        if visitor is None:
            return Refused(401, "Log in to use this app.")
        problem = access.read_only_reason_of(visitor) if writes else ""
    except access.Misconfigured as error:
        LOGGER.error("%s", error)
        return Refused(403, "This app is not set up rightly; its log says more.")
    connection.scope["visitor"] = visitor
    return Refused(403, problem) if problem else None


async def _refuse(refusal: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    headers = Headers(scope=scope)
    LOGGER.warning(
        "Refused %s %r (%s), host %r, origin %r: %s", scope.get("method", "socket"), scope["path"],
        refusal.status, headers.get("host"), headers.get("origin"), refusal,
    )  # fmt: skip
    answer: ASGIApp = JSONResponse({"message": str(refusal)}, refusal.status)
    if scope["type"] == "websocket":
        answer = WebSocketClose(POLICY_VIOLATION)
    await answer(scope, receive, send)
