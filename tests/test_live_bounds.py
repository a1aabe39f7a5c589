"""Messages over the bound are refused before they are kept, and who does not read is dropped."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import psutil
import pytest
import uvicorn
from PIL import Image
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.app import ROOT
from latent_workbench.live import http as live_http
from latent_workbench.live.compute import MOST_PICTURE_BYTES, ComputeServer
from latent_workbench.live.engine import Engine
from latent_workbench.live.guard import MOST_MESSAGE
from latent_workbench.live.http import LET_PASS_BYTES
from latent_workbench.live.images import image_routes
from latent_workbench.live.models import ModelCache
from latent_workbench.live.progress import ProgressServer
from tests.live import Spread, make_run, port_of, serving
from vae_core.config import RunConfig
from vae_core.runs import Run, Status, Store

READ_TIMEOUT_S = 0.5
SOCKETS = ["decode/small", "progress/watched"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    make_run(tmp_path, "small").write_json("config.json", {})
    Store().create("watched", RunConfig())
    engine = Engine(ModelCache(lambda run: Spread()))
    routes = [
        *ComputeServer(engine).routes(),
        *ProgressServer(interval=0.02).routes(),
        *image_routes(),
    ]
    with serving(routes, read_timeout_s=READ_TIMEOUT_S) as server:
        yield server


@contextmanager
def raw(server: uvicorn.Server, request: str, small: bool = False) -> Iterator[socket.socket]:
    """A connection in nobody's care, after `request` has been sent."""
    with socket.socket() as connection:
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(8)
        connection.connect(("127.0.0.1", port_of(server)))
        connection.sendall(request.encode())
        yield connection


def opening(path: str) -> str:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /live/{path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )


@contextmanager
def opened(server: uvicorn.Server, path: str, small: bool = False) -> Iterator[socket.socket]:
    """A live socket, once the server has answered."""
    with raw(server, opening(path), small) as connection:
        while b"\r\n\r\n" not in connection.recv(4096, socket.MSG_PEEK):
            time.sleep(0.01)
        yield connection


def head(size: int, first: int = 0x82) -> bytes:
    """The head of a frame of `size` bytes, masked with zeros; `first` is its first byte."""
    return bytes([first, 0xFF]) + struct.pack(">Q", size) + bytes(4)


def ending(connection: socket.socket) -> bytes:
    """All that comes until the end; fails where there is none."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


def grown(work: Callable[[], object]) -> int:
    """Bytes by which this process, server and client, is larger after `work`."""
    before = psutil.Process().memory_info().rss
    work()
    return psutil.Process().memory_info().rss - before


TOO_BIG = struct.pack(">H", 1009)


@pytest.mark.parametrize("path", SOCKETS)
def test_a_message_over_the_bound_ends_by_its_announcement(server: uvicorn.Server, path: str):
    """150 MB were kept, once for the frame and once for the message, before anybody looked."""
    for size in (150_000_000, MOST_MESSAGE + 1, 2**62):
        with opened(server, path) as connection:
            connection.sendall(head(size) + bytes(1000))
            assert TOO_BIG in ending(connection)


def test_the_server_as_a_whole_has_a_bound_too(server: uvicorn.Server):
    """It holds for Streamlit's own socket, and for who sends before the live one is open."""
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["server"]
    assert settings["maxMessageSize"] * 10**6 == server.config.ws_max_size
    assert settings["maxWidgetStateSize"] < settings["maxMessageSize"] <= 50


@pytest.mark.parametrize("path", SOCKETS)
def test_a_message_in_pieces_is_bounded_as_a_whole(server: uvicorn.Server, path: str):
    piece = bytes(2**20)

    def send() -> None:
        with opened(server, path) as connection:
            try:
                connection.sendall(head(len(piece), 0x02) + piece)
                for _ in range(150):
                    connection.sendall(head(len(piece), 0x00) + piece)
            except (BrokenPipeError, ConnectionResetError):
                return
        raise AssertionError("150 MiB were taken")

    assert grown(send) < 40e6


def test_a_message_of_just_the_bound_is_answered(server: uvicorn.Server):
    with opened(server, "decode/small") as connection:
        connection.sendall(head(MOST_MESSAGE) + bytes(MOST_MESSAGE))
        got = b""
        while b"1 to 64 vectors" not in got:
            got += connection.recv(65536)
            assert TOO_BIG not in got


@pytest.mark.parametrize("path", ["decode/small", "encode/small", "animation/small"])
def test_a_body_over_the_bound_is_refused_before_it_is_sent(server: uvicorn.Server, path: str):
    ask = f"POST /live/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n"
    with raw(server, ask) as connection:
        assert b" 413 " in connection.recv(65536)
        assert ending(connection) is not None  # and the connection ends


def test_a_body_that_does_not_say_its_size_is_cut(server: uvicorn.Server):
    ask = (
        "POST /live/encode/small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    sent = 0
    with raw(server, ask) as connection:
        try:
            for _ in range(300):
                connection.sendall(piece)
                sent += 2**20
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
    assert MOST_PICTURE_BYTES <= sent < MOST_PICTURE_BYTES + LET_PASS_BYTES + 16 * 2**20


def test_who_sends_too_much_reads_why(server: uvicorn.Server):
    """All at once, as a browser does, which looks for an answer when it has sent everything."""
    for path in ("encode/small", "decode/small"):
        connection = HTTPConnection("127.0.0.1", port_of(server), timeout=20)
        connection.request("POST", f"/live/{path}", bytes(MOST_PICTURE_BYTES + 2**23))
        answer = connection.getresponse()
        assert answer.status == 413 and b"too large" in answer.read()
        connection.close()


def test_a_body_that_does_not_come_is_not_waited_for(server: uvicorn.Server, monkeypatch):
    monkeypatch.setattr(live_http, "SILENCE_S", 0.3)
    ask = "POST /live/encode/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"
    with raw(server, ask) as connection:
        assert b" 408 " in connection.recv(65536)


# --- who does not read ----------------------------------------------------------------------------


def connections(server: uvicorn.Server) -> int:
    return len(server.server_state.connections)


def until_nobody(server: uvicorn.Server, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while connections(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert connections(server) == 0, "the client that does not read is still served"


def until_gone(connection: socket.socket) -> None:
    """Wait until the system has forgotten the connection too, with what it kept to be sent."""
    deadline = time.monotonic() + 5
    established = True
    while established and time.monotonic() < deadline:
        time.sleep(0.01)
        established = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"
    assert not established


def write_history(run: Run, over: threading.Event) -> None:
    """A training that validates a wide model again and again: half a megabyte of news each."""
    step = 0
    while not over.is_set():
        step += 1
        record = {"kind": "validation", "step": step, "epoch": 1, "time": step * 0.1,
                  "terms": {"recon": 50.0, "kl": 3.0}, "total": 53.0,
                  "kl_per_dim": np.random.rand(2000).tolist(), "active_units": 9}  # fmt: skip
        run.append("history.jsonl", record)
        time.sleep(0.02)


def test_who_watches_a_training_and_does_not_read_is_dropped(server: uvicorn.Server, caplog):
    # As on a line that holds little; connections inherit it.
    server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**15)
    run, over = Store().get("watched"), threading.Event()
    run.set_status(Status(state="finished", step=5, total_steps=5))
    training = threading.Thread(target=write_history, args=(run, over), daemon=True)
    training.start()
    try:
        with opened(server, "progress/watched", small=True) as connection:
            assert connections(server) == 1
            until_nobody(server)
            until_gone(connection)
    finally:
        over.set()
        training.join(10)
    assert "did not read and was dropped" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_one_large_answer_that_nobody_reads_does_not_stay(server: uvicorn.Server, caplog):
    """Nothing is sent after it, so no later send can find out."""
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    Image.fromarray(noise).save(
        Run(Store().path / "small").file("thumbnails.png"), compress_level=0
    )
    ask = "GET /live/thumbnails/small HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with raw(server, ask, small=True) as connection:
        assert b" 200 " in connection.recv(100)
        until_nobody(server)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_who_reads_slowly_is_served_to_the_end():
    """A large answer on a thin line takes longer than anybody's patience, and always moves."""
    size, got, started = 12 * 2**20, 0, time.monotonic()
    large = Route("/large", lambda request: Response(bytes(size)))
    with serving([large], read_timeout_s=0.3) as server:
        ask = "GET /live/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        with raw(server, ask) as connection:
            while part := connection.recv(2**18):
                got += len(part)
                time.sleep(0.03)
    assert got > size
    assert time.monotonic() - started > 1


def test_more_sockets_than_there_are_places_for_are_sent_away(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    make_run(tmp_path, "small")
    engine = Engine(ModelCache(lambda run: Spread()))
    with serving(ComputeServer(engine).routes(), most_sockets=3) as server:
        for _ in range(2):  # places become free again
            opened = [raw(server, opening("decode/small")) for _ in range(4)]
            answers = []
            entered = [each.__enter__() for each in opened]
            for connection in entered:
                answers.append(connection.recv(20).split()[1])
            assert sorted(answers) == [b"101", b"101", b"101", b"403"]
            for each in opened:
                each.__exit__(None, None, None)
            until_nobody(server)


def test_what_is_asked_of_a_training_is_read_to_a_bound(server: uvicorn.Server):
    """Deep or long JSON is refused before it is parsed."""
    for text in (b"[" * 60000, json.dumps({"want": "x" * 60000}).encode()):
        with opened(server, "progress/watched") as connection:
            connection.sendall(b"\x81\xfe" + struct.pack(">H", len(text)) + bytes(4) + text)
            got = b""
            while struct.pack(">H", 1008) not in got:
                got += connection.recv(65536)
