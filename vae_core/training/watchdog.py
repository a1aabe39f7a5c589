"""A process that was told to end ends in time, whatever it is doing.

Most work looks for the wish to stop often enough. Some cannot: one call into a library, a step of a
huge batch, a network drive that does not answer. Python runs signal handlers between two of its own
instructions only; the thread here is woken by the signal itself.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import psutil

POLL_S = 0.1

End = Callable[[float, int | None], int | None]
"""Called every 0.1 s from the wish on, with the seconds since and the signal if it was one; the
exit status with which the process is to end now, or None where it may go on."""


def watch(asked: Callable[[], bool], end: End) -> None:
    """Watch over this process from a thread, from now until it ends.

    For the main thread of a process of our own: the process is ended without unwinding, and its
    children are killed. Files are whole all the same, as everything is written atomically.

    Args:
        asked: whether it was told to end in another way than by SIGINT or SIGTERM.
    """
    reader, writer = socket.socketpair()
    reader.settimeout(POLL_S)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(
        target=_watch, args=(reader, writer, asked, end), name="watchdog", daemon=True
    ).start()


def unwatch() -> None:
    """From now on signals are no longer heard here: for who ends in an order of his own, such as a
    sweep, which waits for its runs."""
    signal.set_wakeup_fd(-1)


def _watch(
    reader: socket.socket, writer: socket.socket, asked: Callable[[], bool], end: End
) -> None:
    since, number = None, None
    while True:
        woken = _signal_of(reader)
        number = number or woken
        if since is None and (number or asked()):
            since = time.monotonic()
        if since is not None:
            status = end(time.monotonic() - since, number)
            if status is not None:
                end_now(status)


def _signal_of(reader: socket.socket) -> int | None:
    """The signal that came, after at most 0.1 s without one."""
    try:
        numbers = reader.recv(64)
    except TimeoutError:
        return None
    return next((n for n in numbers if n in (signal.SIGINT, signal.SIGTERM)), None)


def end_now(status: int) -> None:
    """End this process and its children."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue
    os._exit(status)
