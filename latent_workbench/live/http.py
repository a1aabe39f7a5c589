"""What the live routes that are no sockets have in common: how much may be sent, and errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from latent_workbench.shared.errors import redact
from vae_core.errors import UserError

LOGGER = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

SILENCE_S = 20.0
"""Longest that a client may leave between two parts of what it sends."""

LET_PASS_BYTES, LET_PASS_S, PAUSE_S = 64 * 2**20, 10.0, 0.5
"""How much of what is too large is waited for, so that its sender reads the answer; how long; and
the pause by which a sender is known that waits for the answer first."""


class Refused(UserError):
    """An error with a status of its own."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def with_json_errors(handler: Handler) -> Handler:
    """`handler`, whose errors become {"message": sentence}."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except UserError as error:
            status = error.status if isinstance(error, Refused) else 400
            return _message(status, redact(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:
            LOGGER.exception("%s %s failed", request.method, request.url.path)
            return _message(500, "This did not work; see the app's log.")

    return answer


async def read_body(request: Request, most: int) -> bytes:
    """The whole body of a request.

    Raises:
        Refused: when it holds more than `most` bytes, before any is read where it says so, and
            else before more than that is kept; or when nothing comes for `SILENCE_S` seconds.
    """
    too_large = Refused(413, f"This is too large; at most {most // 2**20} MiB can be sent.")
    body, parts = bytearray(), aiter(request.stream())
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most:
        await _drain(parts)
        raise too_large
    try:
        while True:
            async with asyncio.timeout(SILENCE_S):
                body += await anext(parts)
            if len(body) > most:
                body.clear()
                await _drain(parts)
                raise too_large
    except StopAsyncIteration:
        return bytes(body)
    except TimeoutError:
        raise Refused(408, "What was to be sent did not arrive.") from None


async def _drain(parts: AsyncIterator[bytes]) -> None:
    """Drop a bounded rest of what comes: a browser that is still sending reads no answer, and where
    the connection ends under its hands it tells of a broken network."""
    passed = 0
    with suppress(StopAsyncIteration, TimeoutError):
        async with asyncio.timeout(LET_PASS_S):
            while passed < LET_PASS_BYTES:
                async with asyncio.timeout(PAUSE_S):
                    passed += len(await anext(parts))


def _message(status: int, sentence: str) -> Response:
    # What was to be sent and was not read would otherwise go on coming.
    headers = {"Connection": "close"} if status in (408, 413) else None
    return JSONResponse({"message": sentence}, status, headers)
