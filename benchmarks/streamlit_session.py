"""A person's session as the server sees it, without a browser: Streamlit's own socket and words.

It runs pages one after another, keeps the clocks of their fragments going, and counts what a
person would see as an error: an exception drawn in the page, a script that does not compile, a page
that is not there, a run that does not end, a socket that closes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PATIENCE_S = 60.0
"""Longest that a script run may take before it counts as an error."""


@dataclass
class Visit:
    """What one session lived through."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Of each page, how long its script runs took, from asking to the last word."""
    errors: list[str] = field(default_factory=list)
    lost: bool = False
    megabytes: float = 0.0
    """What the server sent."""


async def visit(
    url: str, pages: list[str], query: str, until: float, pause_s: float, begin_s: float
) -> Visit:
    """Run `pages` round and round, one each `pause_s`, until the clock of `time.monotonic`.

    Args:
        url: of the socket, ws://…/_stcore/stream.
        pages: the url paths of pages; "" is the first one.
        query: the address's query, such as `run=mnist-vae`.
        begin_s: waited for at first, so that sessions do not all come at once.
    """
    seen = Visit()
    await asyncio.sleep(begin_s)
    try:
        spoken = [Subprotocol("streamlit")]
        async with connect(url, subprotocols=spoken, max_size=None, compression=None) as socket:
            for number in range(10**9):
                if time.monotonic() >= until:
                    break
                page = pages[number % len(pages)]
                await _run(socket, page, query, seen)
                await _rest(socket, query, page, seen, min(pause_s, until - time.monotonic()))
    except (ConnectionClosed, OSError) as error:
        seen.lost = True
        seen.errors.append(f"The session was lost: {error}")
    return seen


async def _run(socket: ClientConnection, page: str, query: str, seen: Visit) -> None:
    """Ask for a page and read until its script has ended."""
    started = time.monotonic()
    await socket.send(_ask(page, query))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if _take(await socket.recv(), page, seen) == "script_finished":
                    break
    except TimeoutError:
        seen.errors.append(f"{page or 'gallery'} had not ended after {PATIENCE_S:.0f} s")
        return
    seen.seconds.setdefault(page or "gallery", []).append(time.monotonic() - started)


async def _rest(socket: ClientConnection, query: str, page: str, seen: Visit, pause: float) -> None:
    """Look at the page for `pause` seconds; what it reruns by itself is read along."""
    try:
        async with asyncio.timeout(max(0.0, pause)):
            while True:
                _take(await socket.recv(), page, seen)
    except TimeoutError:
        return


def _ask(page: str, query: str) -> bytes:
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = query
    return bytes(message.SerializeToString())


def _take(data: Any, page: str, seen: Visit) -> str:
    """Note what a message of the server says; its kind."""
    seen.megabytes += len(data) / 1e6
    message = ForwardMsg.FromString(data)
    kind = str(message.WhichOneof("type"))
    if kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
        exception = message.delta.new_element.exception
        seen.errors.append(f"{page or 'gallery'}: {exception.type}: {exception.message}"[:300])
    if kind == "page_not_found":
        seen.errors.append(f"There is no page {page!r}")
    if (
        kind == "script_finished"
        and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR
    ):
        seen.errors.append(f"{page or 'gallery'} does not compile")
    return kind
