"""The socket `/live/decode/{run_id}`: latent vectors in, pixels out.

The client owns all state (base, directions, slider values) and sends whole vectors, so the server
is a function from z to pixels, and losing the connection loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui.live.guard import is_allowed
from ui.live.models import MODELS, Decoder, ModelCache, decode_pixels, draw_prior, weights_version
from ui.live.protocol import error_reply, pixels_reply, read_request, sequence_of
from vae_core.errors import UserError
from vae_core.runs import Run, Store

LOGGER = logging.getLogger(__name__)

INLINE_WORK = 2_000_000
"""Weights times pictures up to which a decode stays on the event loop: below about 2 ms it costs
less than handing it to a thread, which has to wait for the interpreter lock."""

MOST_BYTES = 4 * 1024 * 1024
POLICY_VIOLATION = 1008


class DecodeServer:
    """What the connections share: loaded models and a few threads for heavy work."""

    def __init__(self, models: ModelCache | None = None) -> None:
        self.models = models or MODELS
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="live-decode")

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection until the client leaves."""
        if not is_allowed(websocket):
            await websocket.close(POLICY_VIOLATION)
            return
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._answer(websocket, message)
        except WebSocketDisconnect:  # left while we were answering; there is nobody to tell
            return

    async def _answer(self, websocket: WebSocket, message: Any) -> None:
        data, text = message.get("bytes"), message.get("text")
        run_id = websocket.path_params["run_id"]
        if data is not None:
            await websocket.send_bytes(await self._pixels(run_id, data))
        else:
            await websocket.send_text(json.dumps(await self._random(run_id, text or "")))

    async def _pixels(self, run_id: str, message: bytes) -> bytes:
        sequence = sequence_of(message)
        try:
            if len(message) > MOST_BYTES:
                raise UserError("The request is too large.")
            model = await self._model(run_id)
            vectors = read_request(message, model.latent_size)
            return pixels_reply(sequence, await self._decode(model, vectors))
        except UserError as error:
            return error_reply(sequence, str(error))
        except Exception:
            LOGGER.exception("Decoding for run %r failed", run_id)
            return error_reply(sequence, "The picture could not be decoded; see the app's log.")

    async def _decode(self, model: Decoder, vectors: np.ndarray) -> np.ndarray:
        weights = sum(weight.numel() for weight in model.parameters())
        if weights * len(vectors) <= INLINE_WORK:
            return decode_pixels(model, vectors)
        return await self._in_thread(decode_pixels, model, vectors)

    async def _random(self, run_id: str, text: str) -> dict[str, Any]:
        sequence = 0
        try:
            request = _read_text(text)
            sequence = request["sequence"]
            model = await self._model(run_id)
            vector = draw_prior(model, request.get("seed"))
            return {"type": "random", "sequence": sequence, "vector": vector.tolist()}
        except UserError as error:
            return {"type": "error", "sequence": sequence, "message": str(error)}
        except Exception:
            LOGGER.exception("Drawing from the prior of run %r failed", run_id)
            sentence = "The prior could not be drawn from; see the app's log."
            return {"type": "error", "sequence": sequence, "message": sentence}

    async def _model(self, run_id: str) -> Decoder:
        run: Run = Store().get(run_id)
        if weights_version(run) is None:
            raise UserError(f"Run {run_id!r} has no weights to decode with.")
        return self.models.peek(run) or await self._in_thread(self.models.get, run)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


def _read_text(text: str) -> dict[str, Any]:
    """The one text request there is: {"type": "random", "sequence": n, "seed": optional}."""
    try:
        request = json.loads(text) if len(text) <= 1000 else None
    except ValueError:
        request = None
    if (
        not isinstance(request, dict)
        or request.get("type") != "random"
        or set(request) - {"type", "sequence", "seed"}
    ):
        raise UserError("The request is none that this server knows.")
    numbers = (request.get("sequence", 0), request.get("seed") or 0)
    if not all(type(n) is int and 0 <= n < 2**32 for n in numbers):
        raise UserError("sequence and seed have to be whole numbers below 2³².")
    return {"sequence": numbers[0], "seed": request.get("seed")}


def decode_routes(server: DecodeServer | None = None) -> list[BaseRoute]:
    """The routes of the live decoder."""
    return [WebSocketRoute("/live/decode/{run_id}", (server or DecodeServer()).endpoint)]
