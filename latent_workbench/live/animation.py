"""POST `/live/animation/{run_id}`: latent vectors in, a GIF or WebP of their pictures out."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.engine import ENGINE, Engine, run_called
from latent_workbench.live.http import read_body, with_json_errors
from latent_workbench.live.models import Decoder, decode_pixels
from latent_workbench.live.protocol import read_request
from vae_core.errors import UserError
from vae_core.imaging.animation import animation
from vae_core.settings import Settings, explain

MOST_BYTES = 16 * 2**20
MOST_FRAMES = 240


class AnimationOptions(Settings):
    """How the animation is to be: `frame_ms` a picture, enlarged `scale` times; of one label."""

    format: Literal["gif", "webp"] = "gif"
    frame_ms: int = Field(80, ge=20, le=5000)
    scale: int = Field(8, ge=1, le=1024)
    smooth: bool = False
    label: int | None = None


class AnimationServer:
    """Makes animations with the engine's models, one at a time."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or ENGINE

    async def post(self, request: Request) -> Response:
        """The animation of the vectors in the body, a binary request of the live decoder."""
        run, options = run_called(request.path_params["run_id"]), _read_options(request)
        body = await read_body(request, MOST_BYTES)
        model = await self.engine.model(run, options.label)
        asked = read_request(body, model.latent_size, MOST_FRAMES)
        if len(asked.vectors) < 2:
            raise UserError("An animation needs two pictures at least.")
        moving = await self.engine.in_thread(lambda: _moving(model, asked.vectors, options))
        return Response(moving, media_type=f"image/{options.format}")


def _moving(model: Decoder, vectors: np.ndarray, options: AnimationOptions) -> bytes:
    frames = decode_pixels(model, vectors).transpose(0, 3, 1, 2)
    return animation(frames, options.format, options.frame_ms, options.scale, options.smooth)


def _read_options(request: Request) -> AnimationOptions:
    try:
        return AnimationOptions.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise UserError(explain(error, "", AnimationOptions)) from None


def animation_routes(server: AnimationServer | None = None) -> list[BaseRoute]:
    """The route that makes animations."""
    server = server or AnimationServer()
    return [Route("/animation/{run_id}", with_json_errors(server.post), methods=["POST"])]
