"""A real server for the live routes, and a model that needs no training."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from websockets.sync.client import ClientConnection

from latent_workbench.live.guard import MOST_SOCKETS, READ_TIMEOUT_S, Guard
from latent_workbench.live.protocol import REPLY, REQUEST
from latent_workbench.live.static import LIVE
from vae_core.runs import Run

SHAPE = (3, 4, 5)


class Spread(torch.nn.Module):
    """D = 2: the picture's value is z[0] in every pixel of channel 0 and z[1] in the others.

    A picture's encoding is the mean of its channel 0 and of its last. Decoding takes
    `seconds`; `decoded` counts pictures.
    """

    latent_size = 2
    labels = 0
    dial = None
    device = torch.device("cpu")

    def __init__(self, seconds: float = 0.0, shape: tuple[int, int, int] = SHAPE) -> None:
        super().__init__()
        self.seconds = seconds
        self.image_shape = shape
        self.shown_channels = None
        self.decoded = 0

    def dialled(self, value):
        return self

    def unflatten(self, v):
        return v

    def flatten(self, z):
        return z

    def encode(self, x):
        means = x.mean(dim=(2, 3))
        z = torch.stack([means[:, 0], means[:, -1]], 1)
        return SimpleNamespace(mode=lambda: z)

    def decode(self, z):
        self.decoded += len(z)
        time.sleep(self.seconds)
        channels = torch.stack([z[:, 0], z[:, 1], z[:, 1]], 1)[:, : self.image_shape[0]]
        return channels[:, :, None, None].expand(-1, *self.image_shape)

    def picture(self, x_logits):
        return x_logits.clamp(0, 1)

    def sample_prior(self, n, generator=None, temperature=1.0):
        return temperature * torch.randn(n, 2, generator=generator)


class Told(Spread):
    """A conditional model of three labels: label k is worth k/2 in every pixel and code."""

    labels = 3
    label = -1

    def conditioned(self, labels):
        view = copy.copy(self)
        view.label = int(labels)
        return view

    def encode(self, x):
        z = super().encode(x).mode() + self.label / 2
        return SimpleNamespace(mode=lambda: z)

    def decode(self, z):
        return super().decode(z) + self.label / 2


def make_run(store: Path, name: str) -> Run:
    """A run that has weights, as far as the live routes look."""
    run = Run(store / name)
    run.path.mkdir(exist_ok=True)
    run.write_bytes("model.safetensors", b"weights")
    return run


@contextmanager
def serving(
    routes: Sequence[BaseRoute],
    read_timeout_s: float = READ_TIMEOUT_S,
    most_sockets: int = MOST_SOCKETS,
) -> Iterator[uvicorn.Server]:
    """A uvicorn of the kind that Streamlit starts, in a thread, on a port of its own; the routes
    lie under the mount behind the guard, which drops who does not read for `read_timeout_s`."""
    guard = Middleware(Guard, read_timeout_s=read_timeout_s, most_sockets=most_sockets)
    app = Starlette(routes=[Mount(f"/{LIVE}", routes=routes, middleware=[guard])])
    more = {"ws": "websockets-sansio", "ws_max_size": 50_000_000}
    config = uvicorn.Config(app, port=0, log_config=None, **more)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(10)


def port_of(server: uvicorn.Server) -> int:
    """Where it listens."""
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def request(sequence: int, vectors, nearest: int = 0) -> bytes:
    """A binary request."""
    vectors = np.atleast_2d(np.asarray(vectors, dtype="<f4"))
    return REQUEST.pack(sequence, len(vectors), nearest) + vectors.tobytes()


def parse(reply: bytes):
    """(sequence, pixels [n, H, W, C]), or (sequence, sentence) of an error; no trailer."""
    sequence, status, channels, count, height, width = REPLY.unpack_from(reply)
    rest = reply[REPLY.size :]
    if status:
        return sequence, rest.decode()
    return sequence, np.frombuffer(rest, np.uint8).reshape(count, height, width, channels)


def ask(socket: ClientConnection, message: bytes | str):
    """Send and wait for the answer: parsed."""
    socket.send(message)
    answer = socket.recv(timeout=10)
    return json.loads(answer) if isinstance(answer, str) else parse(answer)
