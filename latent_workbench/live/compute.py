"""The routes that ask something of a model: `/live/decode`, `/live/encode` and `/live/animation`.

The client owns all state (base, directions, slider values) and sends whole vectors, so the server
is a function from z to pixels, and losing the connection loses nothing.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, ValidationError
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from latent_workbench.live.cache import RunCache
from latent_workbench.live.engine import ENCODINGS, ENGINE, Engine, run_called
from latent_workbench.live.guard import MOST_MESSAGE
from latent_workbench.live.http import read_body, with_json_errors
from latent_workbench.live.models import decode_pixels, encode_pixels, ready_torch
from latent_workbench.live.protocol import (
    error_reply,
    pixels_reply,
    read_dial,
    read_label,
    read_request,
    read_text,
    sequence_of,
    text_error,
)
from latent_workbench.shared.errors import redact
from latent_workbench.shared.pictures import data_url
from vae_core.data.inputs import Ink, fit_drawing, measure_ink, read_drawing, read_picture
from vae_core.errors import UserError
from vae_core.imaging.animation import animation
from vae_core.imaging.resize import shown
from vae_core.runs import Run
from vae_core.settings import Settings, explain

if TYPE_CHECKING:
    from vae_core.models import LatentModel

MOST_PICTURE_BYTES = 32 * 2**20
MOST_ANIMATION_BYTES, MOST_FRAMES = 16 * 2**20, 240

LOGGER = logging.getLogger(__name__)


class AnimationOptions(Settings):
    """How the animation is to be: `frame_ms` a picture, enlarged `scale` times; of one label."""

    format: Literal["gif", "webp"] = "gif"
    frame_ms: int = Field(80, ge=20, le=5000)
    scale: int = Field(8, ge=1, le=1024)
    smooth: bool = False
    label: int | None = None


class ComputeServer:
    """Answers with the engine's models; knows how the ink of a few runs lies."""

    def __init__(self, engine: Engine = ENGINE) -> None:
        self.engine = engine
        self.inks: RunCache[Ink] = RunCache(ink_of, ENCODINGS, 8)

    def routes(self) -> list[BaseRoute]:
        """The routes, each by the name of a run."""
        posted = {"decode": self.decode, "encode": self.encode, "animation": self.animate}
        return [
            WebSocketRoute("/decode/{run_id}", self.decode_socket),
            *(
                Route(f"/{name}/{{run_id}}", with_json_errors(handler), methods=["POST"])
                for name, handler in posted.items()
            ),
        ]

    async def decode_socket(self, websocket: WebSocket) -> None:
        """Latent vectors in, pixels out, until the client leaves or does not read the answers.

        Nothing is received while an answer is on its way, so a client that only sends fills its
        own buffers, then waits, and is dropped by the guard.
        """
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("bytes") is not None:
                    await websocket.send_bytes(await self._pixels(websocket, message["bytes"]))
                else:
                    await websocket.send_text(await self._text(websocket, message["text"]))
                # A client may have sent thousands at once; the others have their turns between.
                await asyncio.sleep(0)
        except WebSocketDisconnect:  # left while we were answering; there is nobody to tell
            return

    async def decode(self, request: Request) -> Response:
        """One message and its answer for a client that can open no socket."""
        body = await read_body(request, MOST_MESSAGE)
        if request.headers.get("content-type", "").startswith("application/json"):
            text = body.decode("utf-8", "replace")
            return Response(await self._text(request, text), media_type="application/json")
        return Response(await self._pixels(request, body), media_type="application/octet-stream")

    async def encode(self, request: Request) -> Response:
        """The latent vector of the picture file or drawing in the body, and what the model was
        shown of it."""
        run, drawn = run_called(request.path_params["run_id"]), request.query_params.get("drawn")
        body = await read_body(request, MOST_PICTURE_BYTES)
        label = read_label(request.query_params.get("label"))
        dial = read_dial(request.query_params.get("dial"))
        model = await self.engine.model(run, label)
        return JSONResponse(
            await self.engine.in_thread(lambda: self._encoded(run, model, body, drawn == "1", dial))
        )

    async def animate(self, request: Request) -> Response:
        """A GIF or WebP of the vectors in the body, a binary request of the live decoder."""
        run, options = run_called(request.path_params["run_id"]), _read_options(request)
        body = await read_body(request, MOST_ANIMATION_BYTES)
        model = await self.engine.model(run, options.label)
        asked = read_request(body, model.latent_size, MOST_FRAMES, model.dial)
        if len(asked.vectors) < 2:
            raise UserError("An animation needs two pictures at least.")
        moving = await self.engine.in_thread(lambda: _moving(model, asked.vectors, options))
        return Response(moving, media_type=f"image/{options.format}")

    async def _pixels(self, asker: HTTPConnection, message: bytes) -> bytes:
        sequence, run_id = sequence_of(message), asker.path_params["run_id"]
        try:
            if len(message) > MOST_MESSAGE:
                raise UserError("The request is too large.")
            run = run_called(run_id)
            model = await self.engine.model(run, read_label(asker.query_params.get("label")))
            asked = read_request(message, model.latent_size, dial=model.dial)
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

    def _encoded(
        self, run: Run, model: LatentModel, body: bytes, drawn: bool, dial: float | None
    ) -> dict[str, object]:
        file, shape = io.BytesIO(body), model.image_shape
        data = run.config().data
        if drawn and shape[0] not in (1, 3):
            raise UserError("Drawings are grey or in colour, and these images are neither.")
        if drawn:
            picture = fit_drawing(read_drawing(file), self.inks.get(run), shape, data.binarise)
        else:
            picture = read_picture(file, data, shape)
        if dial is not None and model.dial is not None:
            model.dial.require(dial)
        vector = encode_pixels(model, picture[None], dial)[0]
        if not np.isfinite(vector).all():
            raise UserError(f"Run {run.id!r} gives no finite encoding; its training diverged.")
        return {"vector": vector.tolist(), "picture": data_url(shown(picture, data.shown_channels))}


def ink_of(run: Run) -> Ink:
    """How the ink of the run's training images lies, by the thumbnails that it keeps.

    Raises:
        UserError: when it keeps none, or they show no ink.
    """
    ready_torch()
    from vae_core.latent.encodings import load_encodings

    return measure_ink(load_encodings(run).thumbnails)


def _moving(model: LatentModel, vectors: np.ndarray, options: AnimationOptions) -> bytes:
    frames = decode_pixels(model, vectors).transpose(0, 3, 1, 2)
    return animation(frames, options.format, options.frame_ms, options.scale, options.smooth)


def _read_options(request: Request) -> AnimationOptions:
    try:
        return AnimationOptions.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise UserError(explain(error, "", AnimationOptions)) from None
