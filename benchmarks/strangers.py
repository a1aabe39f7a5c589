"""What strangers cost an honest visitor of the real server: `python -m benchmarks.strangers`.

Sixty sockets of another site beside an honest one; a message of 150 MB; somebody who watches a
training and never reads; and what a name that leads here by DNS rebinding is shown.
"""

from __future__ import annotations

import http.client
import json
import logging
import shutil
import socket
import struct
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.app import served
from vae_core.config import RunConfig
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Run, Status, Store

STRANGERS = 60
MESSAGE = 150_000_000
RUN = "mnist-vae"
LONGEST_S = 60.0
"""After which somebody who does not read is taken to be served for good."""


def opening_s(port: int, path: str) -> float:
    """Seconds until an honest socket is open."""
    started = time.perf_counter()
    with connect(f"ws://127.0.0.1:{port}{path}", open_timeout=60, origin=_origin(port)):
        return time.perf_counter() - started


def beside_strangers_s(port: int) -> float:
    """As `opening_s`, while sixty sockets of another site wait for their answers."""
    with ExitStack() as strangers:
        for _ in range(STRANGERS):
            stranger = strangers.enter_context(socket.socket())
            stranger.connect(("127.0.0.1", port))
            stranger.sendall(opening(port, f"/live/decode/{RUN}", "https://evil.example"))
        return opening_s(port, f"/live/decode/{RUN}")


def opening(port: int, path: str, origin: str) -> bytes:
    """What opens a socket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: {origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def grown_mb(port: int, server: psutil.Process) -> float:
    """MB by which the server grows at most while a message of 150 MB is sent to a live socket."""
    before, largest, over = server.memory_info().rss, [0], threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            largest[0] = max(largest[0], server.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    address = f"ws://127.0.0.1:{port}/live/decode/{RUN}"
    with suppress(WebSocketException, OSError), connect(address, origin=_origin(port)) as live:
        live.send(bytes(MESSAGE))
        live.recv(timeout=20)
    time.sleep(0.5)
    over.set()
    looking.join()
    return (largest[0] - before) / 1e6


def watched_s(port: int, run: Run) -> float | None:
    """Seconds until somebody is dropped who watches a training and never reads; None if never."""
    over = threading.Event()

    def train() -> None:
        step = 0
        while not over.wait(0.02):
            step += 1
            record = {"kind": "validation", "step": step, "epoch": 1, "time": step / 10,
                      "terms": {"recon": 1.0}, "total": 1.0, "active_units": 9,
                      "kl_per_dim": [0.123456] * 2000}  # fmt: skip
            run.append("history.jsonl", record)

    training = threading.Thread(target=train)
    training.start()
    try:
        return _dropped_s(port, run)
    finally:
        over.set()
        training.join()


def _dropped_s(port: int, run: Run) -> float | None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(opening(port, f"/live/progress/{run.id}", _origin(port)))
        started = time.perf_counter()
        while time.perf_counter() - started < LONGEST_S:
            state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if struct.unpack("B", state)[0] != 1:  # no longer established
                return time.perf_counter() - started
            time.sleep(0.1)
    return None


def rebound(port: int) -> dict[str, int]:
    """What is answered under a name of a stranger's, by path."""
    found = {}
    for path in ("/", f"/live/thumbnails/{RUN}", "/live/plotly.min.js", "/_stcore/health"):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        host = f"evil.example:{port}"
        client.request("GET", path, headers={"Host": host, "Origin": f"http://{host}"})
        found[path] = client.getresponse().status
        client.close()
    return found


def _origin(port: int) -> Origin:
    return Origin(f"http://127.0.0.1:{port}")


def main() -> None:
    """Measure and print, one figure a line."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # it is cut off, as it should be
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        shutil.copytree(DEFAULT_STORE / RUN, store.path / RUN)
        with served(store) as (url, server):
            port = int(url.rpartition(":")[2])
            opening_s(port, f"/live/decode/{RUN}")
            for what, path in (("live socket", f"/live/decode/{RUN}"), ("page", "/_stcore/stream")):
                print(f"opening a {what} alone: {1000 * opening_s(port, path):.0f} ms")
            print(f"beside {STRANGERS} strangers: {1000 * beside_strangers_s(port):.0f} ms")
            print(f"a message of {MESSAGE / 1e6:.0f} MB: {grown_mb(port, server):+.0f} MB")
            print(f"under a stranger's name: {json.dumps(rebound(port))}")
            run = store.create("watched", RunConfig())
            run.set_status(Status(state="finished", step=1, total_steps=1))
            seconds = watched_s(port, run)
            told = "served for good" if seconds is None else f"dropped after {seconds:.0f} s"
            print(f"who never reads: {told}")


if __name__ == "__main__":
    main()
