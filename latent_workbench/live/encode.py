"""POST `/live/encode/{run_id}`: a picture or a drawing in, the latent vector to start from out."""

from __future__ import annotations

import base64
import io

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.cache import RunCache
from latent_workbench.live.engine import ENGINE, Engine, run_called
from latent_workbench.live.http import read_body, with_json_errors
from latent_workbench.live.models import Decoder, encode_pixels, ready_torch
from latent_workbench.live.protocol import read_label
from latent_workbench.live.regions import ENCODINGS
from vae_core.data.inputs import Ink, fit_drawing, measure_ink, read_drawing, read_picture
from vae_core.errors import UserError
from vae_core.runs import Run

MOST_BYTES = 32 * 2**20


class EncodeServer:
    """Encodes pictures with the engine's models; knows how the ink of a few runs lies."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or ENGINE
        self.inks: RunCache[Ink] = RunCache(ink_of, ENCODINGS, 8)

    async def post(self, request: Request) -> Response:
        """The encoding of the picture file in the body, and what the model was shown of it."""
        run, drawn = run_called(request.path_params["run_id"]), request.query_params.get("drawn")
        body = await read_body(request, MOST_BYTES)
        label = read_label(request.query_params.get("label"))
        model = await self.engine.model(run, label)
        return JSONResponse(
            await self.engine.in_thread(lambda: self._encoded(run, model, body, drawn == "1"))
        )

    def _encoded(self, run: Run, model: Decoder, body: bytes, drawn: bool) -> dict[str, object]:
        from vae_core.imaging.png import to_png
        from vae_core.imaging.resize import shown

        file, shape = io.BytesIO(body), model.image_shape
        if drawn and shape[0] not in (1, 3):
            raise UserError("Drawings are grey or in colour, and these images are neither.")
        if drawn:
            picture = fit_drawing(read_drawing(file), self.inks.get(run), shape)
        else:
            picture = read_picture(file, run.config().data, shape)
        vector = encode_pixels(model, picture[None])[0]
        if not np.isfinite(vector).all():
            raise UserError(f"Run {run.id!r} gives no finite encoding; its training diverged.")
        seen = shown(picture, run.config().data.shown_channels)
        shown_png = base64.b64encode(to_png(seen)).decode()
        return {"vector": vector.tolist(), "picture": f"data:image/png;base64,{shown_png}"}


def ink_of(run: Run) -> Ink:
    """How the ink of the run's training images lies, by the thumbnails that it keeps.

    Raises:
        UserError: when it keeps none, or they show no ink.
    """
    ready_torch()
    from vae_core.latent.encodings import load_encodings

    return measure_ink(load_encodings(run).thumbnails)


def encode_routes(server: EncodeServer | None = None) -> list[BaseRoute]:
    """The route that encodes what a person brings."""
    server = server or EncodeServer()
    return [Route("/encode/{run_id}", with_json_errors(server.post), methods=["POST"])]
