"""What a session uploads, streamed to disk: `/live/uploads/{token}` and what lies below it; what a
model is only to be shown, by whoever may look: `/live/looks/{token}`.

POST `/live/uploads/{token}` names the files and their bytes, and is refused before any of them is
sent; PUT `…/{upload}/{index}` brings one; POST `…/{upload}` says that all have come; DELETE takes
it back. The token is a session's own: nobody else can name, open or end what it uploads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, BinaryIO, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from latent_workbench.live.http import Refused, read_body, with_json_errors
from latent_workbench.live.upload_sessions import UPLOADS, SessionUploads, UploadSessions
from vae_core.data import Announced, Upload
from vae_core.errors import UserError
from vae_core.settings import Settings

T = TypeVar("T")

MOST_NAMES = 16 * 2**20
"""Bytes of the list of files that are to come: a hundred thousand names."""
CHUNK = 2**20
STALLED_S = 60.0
"""Longest that the next bytes of a file may take to come."""


class _File(Settings):
    name: str = Field(min_length=1, max_length=1000)
    size: int = Field(ge=0, lt=2**53)


class _Files(Settings):
    files: list[_File]


class UploadServer:
    """Receives what sessions upload."""

    def __init__(self, sessions: UploadSessions = UPLOADS, stalled_s: float = STALLED_S) -> None:
        self.sessions = sessions
        self.stalled_s = stalled_s
        # Its own threads: a slow disk holds up uploads and nothing else.
        self._threads = ThreadPoolExecutor(4, "uploads")

    def routes(self) -> list[BaseRoute]:
        """The routes of uploads."""
        uploads = f"/{self.sessions.kind}/{{token}}"
        upload = f"{uploads}/{{upload}}"
        return [
            Route(uploads, with_json_errors(self.begin), methods=["POST"]),
            Route(uploads, with_json_errors(self.discard), methods=["DELETE"]),
            Route(upload, with_json_errors(self.finish), methods=["POST"]),
            Route(upload, with_json_errors(self.cancel), methods=["DELETE"]),
            Route(upload + "/{index:int}", with_json_errors(self.put), methods=["PUT"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Answer {"upload": name} where these files may come."""
        uploads = self._uploads_of(request)
        body = await read_body(request, MOST_NAMES)
        try:
            files = _Files.model_validate_json(body).files
        except ValidationError:
            raise UserError("The list of files could not be read; reload the page.") from None
        announced = [Announced(file.name, file.size) for file in files]
        upload = await self._in_thread(uploads.begin, announced)
        return JSONResponse({"upload": upload.id})

    async def put(self, request: Request) -> Response:
        """Write the body to disk as it comes; nothing of it stays if it does not come whole."""
        uploads = self._uploads_of(request)
        upload = uploads.find(request.path_params["upload"])
        index = request.path_params["index"]
        if index >= len(upload.files):
            raise Refused(404, f"This upload has {len(upload.files)} files, counted from 0.")
        most = upload.files[index].size
        length = request.headers.get("content-length", "")
        try:
            if length.isdigit() and int(length) != most:
                raise Refused(
                    413, f"{most:,} bytes were announced, and {int(length):,} are coming."
                )
            async with self._receiving(upload, index) as out:
                await self._write(request, out, most)
        except BaseException:
            await asyncio.shield(self._in_thread(uploads.abandon, upload))
            raise
        return Response(status_code=204)

    async def finish(self, request: Request) -> Response:
        """Keep what has come, or say why not."""
        uploads = self._uploads_of(request)
        upload = uploads.find(request.path_params["upload"])
        await self._in_thread(uploads.finish, upload)
        return JSONResponse({"name": upload.name, "bytes": upload.bytes})

    async def cancel(self, request: Request) -> Response:
        """Delete what is on its way."""
        uploads = self._uploads_of(request)
        await self._in_thread(uploads.abandon, uploads.find(request.path_params["upload"]))
        return Response(status_code=204)

    async def discard(self, request: Request) -> Response:
        """Delete what this session has uploaded."""
        await self._in_thread(self._uploads_of(request).discard)
        return Response(status_code=204)

    @asynccontextmanager
    async def _receiving(self, upload: Upload, index: int) -> AsyncIterator[BinaryIO]:
        """`upload.receiving`, beside the event loop."""
        receiving = upload.receiving(index)
        out = await self._in_thread(receiving.__enter__)
        with_error = partial(self._in_thread, receiving.__exit__)
        try:
            yield out
        except BaseException as error:
            await asyncio.shield(with_error(type(error), error, error.__traceback__))
            raise
        await with_error(None, None, None)

    async def _write(self, request: Request, out: BinaryIO, most: int) -> None:
        came, waiting = 0, bytearray()
        body = request.stream()
        while True:
            try:
                async with asyncio.timeout(self.stalled_s):
                    chunk = await anext(body, None)
            except TimeoutError:
                raise Refused(408, "The upload stood still; check the network.") from None
            if chunk is None:
                break
            came += len(chunk)
            if came > most:
                raise Refused(413, f"More has come than the {most:,} bytes that were announced.")
            waiting += chunk
            if len(waiting) >= CHUNK:
                await self._in_thread(out.write, waiting)
                waiting = bytearray()
        await self._in_thread(out.write, waiting)

    def _uploads_of(self, request: Request) -> SessionUploads:
        return self.sessions.get(request.path_params["token"])

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
