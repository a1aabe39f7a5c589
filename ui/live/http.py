"""What the live routes that are no sockets have in common: who may ask, how much, and errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ui.live.guard import admits
from vae_core.errors import UserError

LOGGER = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


class Refused(UserError):
    """An error with a status of its own."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def guarded(handler: Handler) -> Handler:
    """`handler` for those who may ask; whatever it raises becomes {"message": sentence}."""

    async def answer(request: Request) -> Response:
        if not await admits(request):
            return _message(403, "Another site may not use this app.")
        try:
            return await handler(request)
        except Refused as error:
            return _message(error.status, str(error))
        except UserError as error:
            return _message(400, str(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:
            LOGGER.exception("%s %s failed", request.method, request.url.path)
            return _message(500, "This did not work; see the app's log.")

    return answer


async def body_of(request: Request, most: int) -> bytes:
    """The whole body of a request.

    Raises:
        Refused: when it holds more than `most` bytes; no more than that is ever kept.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused(413, f"This is too large; at most {most // 2**20} MiB can be sent.")
    return bytes(body)


def _message(status: int, sentence: str) -> Response:
    return JSONResponse({"message": sentence}, status)
