"""What ASGI has no word for: a bound on messages, a buffer that has been read, and a cut.

All three reach for the connection behind uvicorn's `receive`. Another server goes without them and
keeps to bounds of its own; nothing fails.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Receive


class Connection:
    """The connection that a request or a socket came by."""

    def __init__(self, receive: Receive) -> None:
        self._owner: Any = getattr(receive, "__self__", None)
        self._transport: Any = getattr(self._owner, "transport", None)

    def bound(self, most: int) -> None:
        """Refuse a socket's messages above `most` bytes by their announced length.

        The server's own bound is one for all sockets, and it keeps a message until it is whole:
        by the time that anybody else sees its length, it lies in memory.
        """
        protocol: Any = getattr(self._owner, "conn", None)
        if getattr(protocol, "max_message_size", None) is not None:
            protocol.max_message_size = most

    def unread(self) -> int:
        """Bytes that were sent and that the client has not taken."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def drained(self) -> None:
        """Wait until the client has taken all but a last few of the bytes that were sent."""
        writable = getattr(self._owner, "writable", None)  # of a socket
        flow = getattr(self._owner, "flow", None)  # of a request
        if writable is not None:
            await writable.wait()
        elif flow is not None and flow.write_paused:
            await flow.drain()

    async def taken(self, timeout_s: float) -> None:
        """As `drained`, for as long as the client takes something every `timeout_s` seconds.

        Raises:
            TimeoutError: when it has taken nothing for so long.
        """
        while True:
            before = self.unread()
            try:
                async with asyncio.timeout(timeout_s):
                    return await self.drained()
            except TimeoutError:
                if self.unread() >= before:
                    raise

    def cut(self) -> None:
        """End the connection, whatever the client has not read.

        A close would wait until everything before it has been read, which here is never, and the
        connection with its buffers would stay for as long as the client likes; those of the system
        too, a few MB, unless it is told to linger for no time.
        """
        if self._transport is None:
            return
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            at_once = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._transport.abort()
