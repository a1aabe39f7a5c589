"""What the live routes put up with: garbage, floods, and clients that do not read."""

from __future__ import annotations

import base64
import gc
import http.client
import json
import logging
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from latent_workbench.live.compute import ComputeServer
from latent_workbench.live.engine import Engine
from latent_workbench.live.models import ModelCache
from latent_workbench.live.protocol import MOST_VECTORS, REPLY

from .live import SHAPE, Spread, ask, make_run, parse, port_of, request, serving
from .pictures import encoded, picture

GOOD = request(1, [[0.5, 0.5]])


@pytest.fixture
def models() -> dict[str, Spread]:
    return {"small": Spread(), "slow": Spread(seconds=1.0)}


@pytest.fixture
def server(
    models: dict[str, Spread], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[uvicorn.Server]:
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    for name in models:
        make_run(tmp_path, name).write_json("config.json", {})
    engine = Engine(ModelCache(lambda run: models[run.id]))
    routes = [
        *ComputeServer(engine).routes(),
    ]
    with serving(routes, read_timeout_s=0.5) as server:
        yield server


def open_socket(server: uvicorn.Server, name: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port_of(server)}/live/decode/{name}", open_timeout=10)


def open_raw(server: uvicorn.Server, name: str) -> socket.socket:
    """A socket of the live decoder in nobody's care: nothing reads it, nothing stops it."""
    raw = socket.create_connection(("127.0.0.1", port_of(server)), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET /live/decode/{name} HTTP/1.1\r\nHost: 127.0.0.1:{port_of(server)}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    while b"\r\n\r\n" not in raw.recv(4096, socket.MSG_PEEK):
        time.sleep(0.01)
    raw.recv(4096)
    return raw


def frame(message: bytes) -> bytes:
    """A binary WebSocket frame as a client sends it, masked with zeros."""
    size = len(message)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return b"\x82" + length + b"\0\0\0\0" + message


def test_a_large_model_holds_up_nobody_else(server: uvicorn.Server):
    with open_socket(server, "slow") as slow, open_socket(server, "small") as quick:
        ask(quick, GOOD)
        slow.send(GOOD)  # takes a second
        for _ in range(5):
            assert ask(quick, GOOD)[1].shape == (1, 4, 5, 3)
        with pytest.raises(TimeoutError):
            slow.recv(timeout=0)
        assert parse(slow.recv(timeout=10))[1].shape == (1, 4, 5, 3)


def test_sixty_strange_origins_hold_up_nobody_else(server: uvicorn.Server, monkeypatch):
    def asked() -> None:  # as Streamlit does for every origin that it does not know
        raise AssertionError("this machine's addresses were looked up")

    monkeypatch.setattr("streamlit.net_util.get_internal_ip", asked)
    monkeypatch.setattr("streamlit.net_util.get_external_ip", asked)
    url = f"ws://127.0.0.1:{port_of(server)}/live/decode/small"
    with open_socket(server, "small") as other:
        ask(other, GOOD)
    with ThreadPoolExecutor(60) as threads:
        strange = [
            threads.submit(connect, url, origin="https://evil.example", open_timeout=20)
            for _ in range(60)
        ]
        started = time.monotonic()
        with open_socket(server, "small") as other:
            ask(other, GOOD)
        assert time.monotonic() - started < 2  # 0.03 s where nothing else runs, 20 s with look-ups
        refused = [each.exception(20) for each in strange]
    assert [type(each) for each in refused] == [InvalidStatus] * 60


def test_a_flood_leaves_the_others_their_turns(server: uvicorn.Server, models: dict[str, Spread]):
    flood = 3000
    with open_socket(server, "small") as other, open_raw(server, "small") as raw:
        for _ in range(3):
            ask(other, GOOD)
        before = models["small"].decoded
        raw.sendall(frame(GOOD) * flood)
        ask(other, GOOD)
        assert models["small"].decoded - before < flood / 4


def test_who_does_not_read_is_slowed_and_then_dropped(server: uvicorn.Server, caplog):
    many = 50 * frame(request(1, np.zeros((MOST_VECTORS, 2))))  # each asks for 4 kB
    with open_socket(server, "small") as other, open_raw(server, "small") as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert len(server.server_state.connections) == 2
        raw.settimeout(0.2)
        sent, blocked, deadline = 0, 0, time.monotonic() + 30
        with pytest.raises(OSError) as dropped:
            while time.monotonic() < deadline:
                try:
                    sent += raw.send(many)
                except TimeoutError:
                    blocked += 1
                assert ask(other, GOOD)[0] == 1
        assert not isinstance(dropped.value, TimeoutError)
        assert blocked, "it was never slowed"
        assert sent < 30e6
        ask(other, GOOD)
        assert len(server.server_state.connections) == 1
    assert "did not read and was dropped" in caplog.text


# --- fuzz -----------------------------------------------------------------------------------------

MESSAGES = 10_000
BATCH = 50


def malformed(luck: random.Random) -> bytes | str:
    """A message that the decoder of a model with D = 2 cannot understand."""
    return luck.choice(MAKERS)(luck)


def _noise(luck: random.Random) -> bytes:
    return luck.randbytes(luck.randrange(65))


def _wrong_count(luck: random.Random) -> bytes:
    count = luck.choice([0, 1, 3, 5, MOST_VECTORS + 1, 2**16 - 1])
    return struct.pack("<IHH", luck.getrandbits(32), count, luck.randrange(3)) + GOOD[8:] * 2


def _cut(luck: random.Random) -> bytes:
    whole = request(luck.getrandbits(32), np.ones((luck.randint(1, MOST_VECTORS), 2)))
    return whole[: luck.randrange(len(whole))]


def _longer(luck: random.Random) -> bytes:
    whole = request(1, np.ones((luck.randint(1, MOST_VECTORS), 2)))
    return whole + luck.randbytes(luck.randint(1, 9))


def _not_finite(luck: random.Random) -> bytes:
    vectors = np.ones((luck.randint(1, MOST_VECTORS), 2))
    vectors.flat[luck.randrange(vectors.size)] = luck.choice([np.nan, np.inf, -np.inf])
    return request(luck.getrandbits(32), vectors)


def _many_neighbours(luck: random.Random) -> bytes:
    return request(2, [[0, 0]], nearest=luck.randint(17, 2**16 - 1))


def _large(luck: random.Random) -> bytes:
    return bytes(luck.choice([2**10, 2**14]))


def _text(luck: random.Random) -> str:
    letters = [luck.randrange(1, luck.choice([128, 0xD7FF])) for _ in range(luck.randrange(200))]
    return "".join(map(chr, letters))


def _deep(luck: random.Random) -> str:
    depth = luck.choice([10, 300, 990, 100_000])
    return luck.choice(["[" * depth, "[" * (depth // 2) + "]" * (depth // 2), '{"a":' * depth])


def _almost(luck: random.Random) -> str:
    wrong = luck.choice(
        [-1, 2**32, 10**300, 10**4000, 1e308, 0.5, True, "1", [], {}, None, "\x00", "∞"]
    )
    known = {"random": ["seed", "temperature", "sequence"], "encoding": ["index", "sequence"]}
    kind = luck.choice(list(known))
    asked = {"type": kind, "sequence": 3, "index": 0} if kind == "encoding" else {"type": kind}
    key = luck.choice([*known[kind], "extra", "type"])
    if kind == "random" and (key, wrong) in ACCEPTABLE:
        wrong = -1
    return json.dumps(asked | {key: wrong})


def _mutated(luck: random.Random) -> str:
    text = '{"type": "random", "sequence": 5, "seed": 6}'
    gone = luck.choice([i for i, letter in enumerate(text) if letter not in " 5"])
    return text[:gone] + text[gone + 1 :]


ACCEPTABLE = [("seed", None), ("temperature", 0.5)]
MAKERS = [_noise, _wrong_count, _cut, _longer, _not_finite, _many_neighbours, _large]
MAKERS += [_text, _deep, _almost, _mutated]


def test_ten_thousand_malformed_messages_get_short_errors(server: uvicorn.Server, caplog):
    luck, process = random.Random(3), psutil.Process()
    started, before, objects = time.monotonic(), 0, 0
    with open_socket(server, "small") as socket:
        for start in range(0, MESSAGES, BATCH):
            batch = [malformed(luck) for _ in range(BATCH)]
            for message in batch:
                socket.send(message)
            for message in batch:
                answer = socket.recv(timeout=10)
                assert len(answer) < 300
                if isinstance(message, str):
                    assert json.loads(answer)["type"] == "error", message
                else:
                    assert REPLY.unpack_from(answer)[1] != 0, message
            assert ask(socket, GOOD)[1].shape == (1, *SHAPE[1:], 3)
            if start == MESSAGES // 5:  # by now every kind has been seen and every buffer grown
                gc.collect()
                before, objects = process.memory_info().rss, len(gc.get_objects())
        gc.collect()
        assert len(gc.get_objects()) - objects < 1000
        assert process.memory_info().rss - before < 100e6  # 12 kB a message
    assert time.monotonic() - started < 60
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def test_broken_uploads_are_told_and_never_a_defect(server: uvicorn.Server, caplog):
    luck = random.Random(4)
    files = [encoded(picture(size=(40, 30)), kind) for kind in KINDS]
    paths = ["encode/small", "encode/small?drawn=1", "animation/small", "animation/small?scale=-1"]
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=20)
    for _ in range(300):
        body = bytearray(luck.choice(files))
        for _ in range(luck.randrange(1, 20)):
            body[luck.randrange(len(body))] = luck.randrange(256)
        body = body[: luck.choice([len(body), luck.randrange(len(body))])]
        connection.request("POST", f"/live/{luck.choice(paths)}", bytes(body))
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status in (200, 400)
        assert ("vector" in said) is (answer.status == 200)
    connection.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
