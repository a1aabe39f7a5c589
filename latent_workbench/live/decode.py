"""The socket `/live/decode/{run_id}`: latent vectors in, pixels out; and the same by POST.

The client owns all state (base, directions, slider values) and sends whole vectors, so the server
is a function from z to pixels, and losing the connection loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from latent_workbench.live.engine import ENGINE, Engine, run_called
from latent_workbench.live.guard import MOST_MESSAGE
from latent_workbench.live.http import read_body, with_json_errors
from latent_workbench.live.protocol import (
    error_reply,
    pixels_reply,
    read_label,
    read_request,
    read_text,
    sequence_of,
    text_error,
)
from latent_workbench.shared.errors import redact
from vae_core.errors import UserError

LOGGER = logging.getLogger(__name__)


class DecodeServer:
    """Answers each message of each connection in turn."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or ENGINE

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection until the client leaves, or does not read what it asked for.

        Nothing is received while an answer is on its way, so a client that only sends fills its
        own buffers, then waits, and is dropped by the guard.
        """
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await websocket.send(await self._answer(websocket, message))
                # A client may have sent thousands at once; the others have their turns between.
                await asyncio.sleep(0)
        except WebSocketDisconnect:  # left while we were answering; there is nobody to tell
            return

    async def post(self, request: Request) -> Response:
        """One message and its answer for a client that can open no socket."""
        body = await read_body(request, MOST_MESSAGE)
        if request.headers.get("content-type", "").startswith("application/json"):
            text = body.decode("utf-8", "replace")
            return Response(await self._text(request, text), media_type="application/json")
        return Response(await self._pixels(request, body), media_type="application/octet-stream")

    async def _answer(self, asker: WebSocket, message: Any) -> dict[str, Any]:
        if message.get("bytes") is not None:
            return {"type": "websocket.send", "bytes": await self._pixels(asker, message["bytes"])}
        return {"type": "websocket.send", "text": await self._text(asker, message["text"])}

    async def _pixels(self, asker: HTTPConnection, message: bytes) -> bytes:
        sequence, run_id = sequence_of(message), asker.path_params["run_id"]
        try:
            if len(message) > MOST_MESSAGE:
                raise UserError("The request is too large.")
            run = run_called(run_id)
            model = await self.engine.model(run, read_label(asker.query_params.get("label")))
            asked = read_request(message, model.latent_size)
            pixels = await self.engine.decode(model, asked.vectors)
            return pixels_reply(sequence, pixels, await self.engine.locate(run, model, asked))
        except UserError as error:
            return error_reply(sequence, redact(error))
        except Exception:
            LOGGER.exception("Decoding for run %r failed", run_id)
            return error_reply(sequence, "The picture could not be decoded; see the app's log.")

    async def _text(self, asker: HTTPConnection, text: str) -> str:
        sequence, run_id = 0, asker.path_params["run_id"]
        try:
            asked = read_text(text)
            sequence = asked.sequence
            vector = await self.engine.vector(run_called(run_id), asked)
            answer = {"type": asked.type, "sequence": sequence, "vector": vector.tolist()}
            return json.dumps(answer, allow_nan=False)
        except UserError as error:
            return json.dumps(text_error(sequence, redact(error)))
        except Exception:
            LOGGER.exception("A vector of run %r could not be given", run_id)
            return json.dumps(text_error(sequence, "This did not work; see the app's log."))


def decode_routes(server: DecodeServer | None = None) -> list[BaseRoute]:
    """The routes of the live decoder."""
    server, path = server or DecodeServer(), "/decode/{run_id}"
    return [
        WebSocketRoute(path, server.endpoint),
        Route(path, with_json_errors(server.post), methods=["POST"]),
    ]
