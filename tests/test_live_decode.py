"""The live decoder: frames and decoding without a server, then the socket itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from latent_workbench.live.compute import ComputeServer
from latent_workbench.live.engine import Engine
from latent_workbench.live.micro_batcher import MicroBatcher
from latent_workbench.live.models import ModelCache, decode_pixels, draw_prior
from latent_workbench.live.protocol import (
    MOST_VECTORS,
    REQUEST,
    error_reply,
    pixels_reply,
    read_request,
    sequence_of,
)
from vae_core.errors import UserError
from vae_core.runs import Run

from .live import Spread, ask, make_run, parse, port_of, request, serving

T = TypeVar("T")


def test_request_round_trip():
    vectors = np.array([[0.5, -1.25], [3.0, 2.0]], np.float32)
    message = request(7, vectors)
    assert sequence_of(message) == 7
    assert np.array_equal(read_request(message, 2).vectors, vectors)


@pytest.mark.parametrize(
    "message, words",
    [
        (b"", "shorter than its header"),
        (b"\x01\x00\x00\x00", "shorter than its header"),
        (request(1, [[1.0, 2.0, 3.0]]), "make 16 bytes; this request has 20"),
        (request(1, [[1.0, 2.0]])[:-1], "this request has 15"),
        (REQUEST.pack(1, 0, 0), "this one says 0"),
        (request(1, np.zeros((MOST_VECTORS + 1, 2))), "this one says 65"),
        (request(1, [[np.nan, 0.0]]), "not finite"),
        (request(1, [[0.0, -np.inf]]), "not finite"),
        (request(1, [[0.0, 0.0]], nearest=17), "0 to 16 neighbours; not 17"),
    ],
)
def test_request_refused(message: bytes, words: str):
    with pytest.raises(UserError, match=words):
        read_request(message, 2)


def test_replies_carry_what_was_put_in():
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    sequence, back = parse(pixels_reply(9, pixels))
    assert sequence == 9 and np.array_equal(back, pixels)
    assert parse(error_reply(4, "σ is gone.")) == (4, "σ is gone.")


def test_pixels_are_rounded_clamped_and_channels_last():
    pixels = decode_pixels(Spread(), np.array([[0.5, 1.0], [-3.0, np.float32(1e30)]], np.float32))
    assert pixels.shape == (2, 4, 5, 3) and pixels.dtype == np.uint8
    assert (pixels[0, ..., 0] == 128).all() and (pixels[0, ..., 1:] == 255).all()
    assert (pixels[1, ..., 0] == 0).all() and (pixels[1, ..., 1:] == 255).all()


def test_prior_draws_repeat_with_a_seed_and_differ_without():
    model = Spread()
    assert np.array_equal(draw_prior(model, 3), draw_prior(model, 3))
    assert not np.array_equal(draw_prior(model), draw_prior(model))


# --- the cache -----------------------------------------------------------------------------------


def test_cache_loads_once_and_again_when_the_weights_change(tmp_path: Path):
    loads: list[str] = []
    cache = ModelCache(lambda run: loads.append(run.id) or Spread())
    run = make_run(tmp_path, "a")
    assert cache.peek(run) is None
    first = cache.get(run)
    assert cache.get(run) is first and cache.peek(run) is first and loads == ["a"]
    run.write_bytes("model.safetensors", b"trained on")
    assert cache.peek(run) is None
    assert cache.get(run) is not first and loads == ["a", "a"]


def test_cache_forgets_the_model_used_longest_ago(tmp_path: Path):
    cache = ModelCache(lambda run: Spread(), size=2)
    a, b, c = (make_run(tmp_path, name) for name in "abc")
    cache.get(a)
    cache.get(b)
    cache.get(a)
    cache.get(c)
    assert cache.peek(b) is None and cache.peek(a) is not None and cache.peek(c) is not None


# --- decoding for several ------------------------------------------------------------------------


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in a thread: a browser of other tests may have a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result(60)


def test_what_is_asked_at_one_moment_is_decoded_at_once_and_goes_to_who_asked():
    sizes: list[int] = []

    async def decode(model: Spread, vectors: np.ndarray) -> np.ndarray:
        sizes.append(len(vectors))
        if vectors.sum() < 0:
            raise ZeroDivisionError
        return decode_pixels(model, vectors)

    async def ask_all(values: list[float]):
        vectors = [np.array([[value, 0]], np.float32) for value in values]
        asked = [together.decode(models[i % 2], z) for i, z in enumerate(vectors)]
        return await asyncio.gather(*asked, return_exceptions=True)

    together, models = MicroBatcher(decode), (Spread(), Spread())
    pictures = in_a_loop(ask_all([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    assert [int(p[0, 0, 0, 0]) for p in pictures] == [0, 51, 102, 153, 204, 255]
    assert sizes == [3, 3]
    failed = in_a_loop(ask_all([-1.0, 1.0, -1.0]))
    assert [type(each) for each in failed] == [ZeroDivisionError, np.ndarray, ZeroDivisionError]


# --- the socket ----------------------------------------------------------------------------------


Connect = Callable[..., ClientConnection]


@pytest.fixture
def open_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Opens `/live/decode/NAME` on a server of its own."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    for name in ("small", "large", "broken"):
        make_run(tmp_path, name)
    (tmp_path / "no-weights").mkdir()
    seconds = {"small": 0.0, "large": 0.02}

    def load(run: Run) -> Spread:
        if run.id == "broken":
            raise ZeroDivisionError
        return Spread(seconds[run.id])

    with serving(ComputeServer(Engine(ModelCache(load))).routes()) as server:
        port = port_of(server)

        def open_socket(name: str, origin: str | None = None, **options) -> ClientConnection:
            origin = origin and origin.replace("PORT", str(port))
            url = f"ws://127.0.0.1:{port}/live/decode/{name}"
            return connect(url, origin=origin, open_timeout=10, **options)

        yield open_socket


@pytest.mark.parametrize("name", ["small", "large"])
def test_socket_decodes_inline_and_in_a_thread(open_socket: Connect, name: str):
    with open_socket(name) as socket:
        sequence, pixels = ask(socket, request(11, [[1.0, 0.0], [0.0, 1.0]]))
    assert sequence == 11
    assert (pixels[0, ..., 0] == 255).all() and (pixels[1, ..., 0] == 0).all()


def test_socket_answers_a_prior_sample(open_socket: Connect):
    with open_socket("small") as socket:
        answer = ask(socket, json.dumps({"type": "random", "sequence": 5, "seed": 1}))
    assert answer["type"] == "random" and answer["sequence"] == 5
    assert np.allclose(answer["vector"], draw_prior(Spread(), 1))


def test_bad_messages_get_a_sentence_and_the_connection_goes_on(open_socket: Connect):
    with open_socket("small") as socket:
        not_finite = "The request holds a number that is not finite."
        assert ask(socket, request(3, [[np.nan, 0.0]])) == (3, not_finite)
        for text in (
            "no json",
            "[]",
            '{"type": "load"}',
            '{"type": "random", "path": "x"}',
            '{"type": "random", "seed": -1}',
            '{"type": "random", "sequence": "1"}',
            " " * 2000,
        ):
            assert ask(socket, text)["type"] == "error", text
        assert ask(socket, request(4, [[0.0, 0.0]]))[1].shape == (1, 4, 5, 3)


@pytest.mark.parametrize(
    "name, words",
    [
        ("nobody", "no run called"),
        (".hidden", "no run name"),
        ("no-weights", "no weights"),
        ("broken", "could not be decoded"),
    ],
)
def test_runs_that_cannot_be_decoded(open_socket: Connect, name: str, words: str):
    with open_socket(name) as socket:
        for sequence in (1, 2):
            got, sentence = ask(socket, request(sequence, [[0.0, 0.0]]))
            assert got == sequence and words in sentence


def test_a_run_deleted_while_connected(open_socket: Connect, tmp_path: Path):
    with open_socket("small") as socket:
        assert ask(socket, request(1, [[0.0, 0.0]]))[1].shape == (1, 4, 5, 3)
        Run(tmp_path / "small").delete()
        assert "no run called 'small'" in ask(socket, request(2, [[0.0, 0.0]]))[1]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil:PORT"])
def test_another_origin_is_refused(open_socket: Connect, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        open_socket("small", origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:PORT", "http://localhost:9"])
def test_the_app_itself_is_let_in(open_socket: Connect, origin: str | None):
    with open_socket("small", origin) as socket:
        assert ask(socket, request(1, [[0.0, 0.0]]))[0] == 1


def test_leaving_while_a_picture_is_decoded_disturbs_nobody(open_socket: Connect, caplog):
    with open_socket("small") as stays:
        with open_socket("large") as leaves:
            for sequence in range(20):
                leaves.send(request(sequence, np.zeros((MOST_VECTORS, 2))))
        assert ask(stays, request(1, [[0.0, 0.0]]))[0] == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
