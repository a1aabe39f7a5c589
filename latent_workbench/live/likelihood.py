"""Socket `/live/likelihood/{run_id}?image=N`: log p(x|z) of one image at the latents that are sent.

The image is one of those that the run keeps. A message is the number of the request, uint32, then
float32 [n, D]; the answer that number and float32 [n] in nats, little-endian, or JSON that says
what is wrong. Nothing is kept, so losing the connection loses nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from typing import TYPE_CHECKING

import numpy as np
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from latent_workbench.live.engine import ENGINE, Engine, run_called
from latent_workbench.live.models import ready_torch
from latent_workbench.live.protocol import sequence_of
from latent_workbench.shared.errors import redact
from vae_core.errors import UserError

if TYPE_CHECKING:
    from vae_core.models import LatentModel

MOST_POINTS = 16_384
"""Of one request: a grid of 128 × 128."""
QUICK = 512
"""Up to so many points a request follows a hand, and does not wait for what takes seconds."""
AT_ONCE = 1024
"""Pictures that are decoded together, by their pixels: of 28 × 28 they take 3 MB."""
PIXELS_AT_ONCE = AT_ONCE * 28 * 28

LOGGER = logging.getLogger(__name__)


class LikelihoodServer:
    """Answers with the engine's models and the images that runs keep."""

    def __init__(self, engine: Engine = ENGINE) -> None:
        self.engine = engine

    def routes(self) -> list[BaseRoute]:
        """The route, by the name of a run."""
        return [WebSocketRoute("/likelihood/{run_id}", self.socket)]

    async def socket(self, websocket: WebSocket) -> None:
        """Latents in, log-likelihoods out, until the client leaves."""
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                answer = await self._answer(websocket, message.get("bytes") or b"")
                if isinstance(answer, str):
                    await websocket.send_text(answer)
                else:
                    await websocket.send_bytes(answer)
                await asyncio.sleep(0)  # others have their turns between
        except WebSocketDisconnect:
            return

    async def _answer(self, asker: WebSocket, message: bytes) -> bytes | str:
        sequence, run_id = sequence_of(message), asker.path_params["run_id"]
        try:
            run = run_called(run_id)
            model = await self.engine.model(run)
            z = read_points(message, model.latent_size)
            images = await self.engine.in_thread(lambda: self.engine.images.get(run))
            image = chosen(images, asker.query_params.get("image", ""))
            where = self.engine.in_decoder_thread if len(z) <= QUICK else self.engine.in_thread
            found = await where(functools.partial(log_likelihood, model, image, z))
            return sequence.to_bytes(4, "little") + found.astype("<f4").tobytes()
        except UserError as error:
            return json.dumps({"sequence": sequence, "message": redact(error)})
        except Exception:
            LOGGER.exception("A likelihood of run %r could not be worked out", run_id)
            sentence = "The likelihood could not be worked out; see the app's log."
            return json.dumps({"sequence": sequence, "message": sentence})


def read_points(message: bytes, latent_size: int) -> np.ndarray:
    """The latents of a request, float32 [n, D].

    Raises:
        UserError: when it holds too many, none, parts of one, or what is no finite number.
    """
    count, rest = divmod(len(message) - 4, 4 * latent_size)
    if rest or not 1 <= count <= MOST_POINTS:
        raise UserError(
            f"A request holds 1 to {MOST_POINTS} latents of {latent_size} numbers; this one has "
            f"{len(message)} bytes."
        )
    z = np.frombuffer(message, "<f4", offset=4).astype(np.float32)
    if not np.isfinite(z).all():
        raise UserError("The request holds a number that is not finite.")
    return z.reshape(count, latent_size)


def chosen(images: np.ndarray, text: str) -> np.ndarray:
    """The image that an address names among those kept, uint8 [C, H, W].

    Raises:
        UserError: when there is none of this number.
    """
    known = text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(images)
    if not known:
        raise UserError(f"The run keeps {len(images)} images in full, counted from 0.")
    found: np.ndarray = images[int(text)]
    return found


def log_likelihood(model: LatentModel, image: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(x|z) in nats of an image, uint8 [C, H, W], at latents float32 [n, D]: float64 [n]."""
    torch = ready_torch()
    from vae_core.data.batches import as_floats

    x = as_floats(image[None].copy(), model.device)
    step = max(1, PIXELS_AT_ONCE // image[0].size)
    found = []
    with torch.inference_mode():
        for start in range(0, len(z), step):
            part = torch.from_numpy(z[start : start + step]).to(model.device)
            logits = model.decode(model.unflatten(part))
            found.append(-model.likelihood.nll(logits, x.expand(len(part), -1, -1, -1)).double())
    log_p: np.ndarray = torch.cat(found).cpu().numpy()
    return log_p
