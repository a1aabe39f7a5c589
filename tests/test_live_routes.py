"""What the live server answers beside its socket: pictures in, animations and thumbnails out."""

from __future__ import annotations

import base64
import http.client
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import multivariate_normal
from websockets.sync.client import connect

from latent_workbench.live import compute
from latent_workbench.live.compute import ComputeServer
from latent_workbench.live.engine import Engine
from latent_workbench.live.guard import MOST_MESSAGE
from latent_workbench.live.images import image_routes
from latent_workbench.live.models import ModelCache, decode_pixels, encode_pixels
from latent_workbench.live.protocol import NEIGHBOURS, REPLY, TRAILER
from vae_core.imaging.png import from_png, to_png, untile
from vae_core.latent.encodings import load_encodings
from vae_core.latent.region import Region, Verdict
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Run, Store

from .live import Spread, Told, ask, make_run, parse, port_of, request, serving
from .pictures import encoded, picture

SHIPPED = Store(DEFAULT_STORE).get("mnist-vae")
Send = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(ModelCache())


@pytest.fixture
def port(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server of all routes over the shipped runs."""
    monkeypatch.setenv("VAE_STORE", str(DEFAULT_STORE))
    routes = [
        *ComputeServer(engine).routes(),
        *image_routes(),
    ]
    with serving(routes) as server:
        yield port_of(server)


@pytest.fixture
def send(port: int) -> Iterator[Send]:
    """One request to that server: (status, headers, body)."""

    def send(method: str, path: str, body: bytes = b"", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, names)
        answer = connection.getresponse()
        result = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return result

    yield send


def sentence(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[2])["message"]


# --- where a vector lies -------------------------------------------------------------------------


def trailer_of(reply: bytes):
    """The numbers, the verdict and the nearest encodings behind one picture of 28 × 28."""
    rest = reply[REPLY.size + 28 * 28 :]
    *numbers, found, verdict = TRAILER.unpack_from(rest)
    nearest = np.frombuffer(rest, NEIGHBOURS, offset=TRAILER.size)
    assert len(nearest) == found
    return numbers, Verdict(verdict), nearest


@pytest.mark.parametrize("by", ["socket", "post"])
def test_a_picture_says_where_it_lies(port: int, send: Send, by: str):
    encodings = load_encodings(SHIPPED)
    z, region = encodings.mu[17] + 0.01, Region(encodings.mu, encodings.logvar)
    message = request(3, z, nearest=5)
    if by == "socket":
        with connect(f"ws://127.0.0.1:{port}/live/decode/mnist-vae") as socket:
            socket.send(message)
            reply = socket.recv(timeout=10)
    else:
        reply = send("POST", "/live/decode/mnist-vae", message)[2]
    (*numbers, log_density), verdict, nearest = trailer_of(reply)
    place = region.place(z.astype(np.float64))
    told = (place.distance, place.nearer, place.gap, place.closer)
    assert numbers == pytest.approx(told, rel=1e-5) and verdict is place.verdict is Verdict.TYPICAL
    assert log_density == pytest.approx(multivariate_normal(np.zeros(16)).logpdf(z), rel=1e-5)
    assert nearest["index"][0] == 17 and nearest["distance"][0] == pytest.approx(0.04, rel=1e-3)
    assert nearest["index"].tolist() == region.nearest(z, 5)[0].tolist()
    assert (np.diff(nearest["distance"]) >= 0).all()


def test_a_model_without_a_prior_tells_no_density(send: Send):
    reply = send("POST", "/live/decode/mnist-ae", request(3, np.ones(16), nearest=5))[2]
    (*numbers, log_density), verdict, nearest = trailer_of(reply)
    assert np.isnan(log_density) and np.isfinite(numbers).all()
    assert verdict in set(Verdict) and len(nearest) == 5


def test_only_who_asks_is_told(send: Send):
    plain = send("POST", "/live/decode/mnist-vae", request(1, np.zeros(16)))[2]
    assert len(plain) == REPLY.size + 28 * 28


def test_as_far_out_as_floats_go(send: Send):
    reply = send("POST", "/live/decode/mnist-vae", request(1, np.full(16, 3e38), nearest=2))[2]
    (distance, nearer, gap, closer, log_density), verdict, nearest = trailer_of(reply)
    assert distance > 1e30 and gap > 1e30 and log_density < -1e30 and len(nearest) == 2
    assert nearer == closer == 1 and verdict is Verdict.FAR


def test_a_run_without_encodings_shows_pictures_alone(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
):
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    monkeypatch.setattr(engine, "models", ModelCache(lambda run: Spread()))
    run = make_run(tmp_path, "bare")
    ask_it = lambda: parse(send("POST", "/live/decode/bare", request(1, [0, 1], nearest=4))[2])  # noqa: E731
    assert ask_it()[1].shape == (1, 4, 5, 3)
    run.write_bytes("encodings.safetensors", b"damaged")
    assert ask_it()[1].shape == (1, 4, 5, 3)


def test_an_encoding_is_given_by_its_row(port: int):
    mu = load_encodings(SHIPPED).mu
    with connect(f"ws://127.0.0.1:{port}/live/decode/mnist-vae") as socket:
        answer = ask(socket, '{"type": "encoding", "sequence": 4, "index": 2999}')
        assert answer["type"] == "encoding" and answer["sequence"] == 4
        np.testing.assert_array_equal(np.float32(answer["vector"]), mu[2999])
        beyond = ask(socket, '{"type": "encoding", "sequence": 5, "index": 3000}')
    assert beyond["type"] == "error" and beyond["sequence"] == 5
    assert "3000 encodings" in beyond["message"]


def test_text_requests_go_by_post_too(send: Send):
    path, kind = "/live/decode/mnist-vae", {"content_type": "application/json"}
    cold = '{"type": "random", "sequence": 1, "seed": 3, "temperature": 0.5}'
    warm = '{"type": "random", "sequence": 2, "seed": 3}'
    half, whole = (json.loads(send("POST", path, t.encode(), **kind)[2]) for t in (cold, warm))
    np.testing.assert_allclose(2 * np.array(half["vector"]), whole["vector"], rtol=1e-5)
    refused = '{"type": "random", "temperature": 4}'
    assert json.loads(send("POST", path, refused.encode(), **kind)[2])["type"] == "error"


# --- conditional models ---------------------------------------------------------------------------


@pytest.fixture
def told(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    """The address of the decoder of a conditional model called `told`."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    monkeypatch.setattr(engine, "models", ModelCache(lambda run: Told(shape=(1, 8, 8))))
    make_run(tmp_path, "told").write_json("config.json", {})
    return f"ws://127.0.0.1:{port}/live/decode/told"


@pytest.mark.parametrize("label, value", [(0, 0), (1, 128), (2, 255)])
def test_a_conditional_model_is_told_its_label(told: str, send: Send, label: int, value: int):
    with connect(f"{told}?label={label}") as socket:
        for _ in range(2):
            assert (ask(socket, request(1, [[0, 0]]))[1] == value).all()
    posted = send("POST", f"/live/decode/told?label={label}", request(1, np.zeros((3, 2))))[2]
    assert (parse(posted)[1] == value).all()
    black = to_png(np.zeros((1, 8, 8), np.uint8))
    encoded_as = json.loads(send("POST", f"/live/encode/told?label={label}", black)[2])["vector"]
    assert encoded_as == [label / 2, label / 2]
    path = f"/live/animation/told?format=webp&scale=1&label={label}"
    with Image.open(io.BytesIO(send("POST", path, request(1, np.zeros((2, 2))))[2])) as image:
        assert np.asarray(image.convert("L")).max() == value


@pytest.mark.parametrize("label", ["3", "-2", "", "x", "²", "1e0", "99999999999"])
def test_a_label_that_is_none_gets_a_sentence(told: str, label: str, send: Send):
    with connect(f"{told}?label={quote(label)}") as socket:
        assert "label" in ask(socket, request(1, [[0, 0]]))[1]
    body = to_png(np.zeros((1, 8, 8), np.uint8))
    assert "label" in sentence(send("POST", f"/live/encode/told?label={quote(label)}", body))[1]


# --- pictures from outside ------------------------------------------------------------------------


def digits() -> np.ndarray:
    """MNIST test images that the shipped model never saw, one of each class: [10, 28, 28]."""
    strip = from_png(SHIPPED.file("previews/originals.png").read_bytes(), 1)
    return untile(strip, 28, 28, 10)[:, 0]


def as_redrawn(digit: np.ndarray, seed: int) -> bytes:
    """A digit as on a canvas of 400 px: ten times as large, hard-edged, anywhere but the middle."""
    large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
    strokes = np.where(np.asarray(large) > 127, 255, 0).astype(np.uint8)
    canvas = np.zeros((400, 400), np.uint8)
    top, left = np.random.default_rng(seed).choice([0, 20, 100, 120], 2)
    canvas[top : top + 280, left : left + 280] = strokes
    return to_png(canvas[None])


def test_a_drawn_digit_is_taken_for_the_digit_that_it_is(send: Send, engine: Engine):
    model = engine.models.get(SHIPPED)
    originals = encode_pixels(model, digits()[:, None])
    drawn, plain = [], []
    for seed, digit in enumerate(digits()):
        body = as_redrawn(digit, seed)
        for path, found in (("mnist-vae?drawn=1", drawn), ("mnist-vae", plain)):
            status, _, answer = send("POST", f"/live/encode/{path}", body)
            assert status == 200, answer
            found.append(json.loads(answer)["vector"])
    apart = np.linalg.norm(np.array(drawn)[:, None] - originals[None], axis=2)
    # Each lies beside its own original (0.5 to 1.5 away) and far from those of other classes.
    assert apart.argmin(axis=1).tolist() == list(range(10))
    own = np.diag(apart)
    others = apart[~np.eye(10, dtype=bool)]
    assert np.median(own) < 1.2 and own.max() < 0.5 * np.median(others)
    # Without centring and scaling it would not.
    assert np.linalg.norm(np.array(plain) - originals, axis=1).min() > 2
    pictures = decode_pixels(model, np.float32(drawn)).astype(int)
    expected = decode_pixels(model, originals).astype(int)
    assert np.abs(pictures - expected).mean() < 0.04 * 255


def test_an_uploaded_picture_comes_back_as_the_model_saw_it(send: Send, engine: Engine):
    digit = digits()[3]
    status, _, body = send("POST", "/live/encode/mnist-vae", to_png(digit[None]))
    answer = json.loads(body)
    kind, _, data = answer["picture"].partition(",")
    assert status == 200 and kind == "data:image/png;base64"
    np.testing.assert_array_equal(from_png(base64.b64decode(data), 1)[0], digit)
    expected = encode_pixels(engine.models.get(SHIPPED), digit[None, None])[0]
    np.testing.assert_allclose(answer["vector"], expected, atol=1e-5)


def test_uploads_that_cannot_be_encoded_get_a_sentence(send: Send, monkeypatch):
    to = "/live/encode/mnist-vae"
    assert sentence(send("POST", to, b"no picture"))[0] == 400
    assert "no image" in sentence(send("POST", to, b"no picture"))[1]
    assert (
        "draw something"
        in sentence(send("POST", to + "?drawn=1", to_png(np.zeros((1, 9, 9), np.uint8))))[1]
    )
    assert "no run called" in sentence(send("POST", "/live/encode/nobody", encoded(picture())))[1]
    monkeypatch.setattr(compute, "MOST_PICTURE_BYTES", 2**20)
    assert sentence(send("POST", to, bytes(2**20 + 1))) == (
        413,
        "This is too large; at most 1 MiB can be sent.",
    )


# --- animations, thumbnails, and who may ask ------------------------------------------------------


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_vectors_become_an_animation(send: Send, engine: Engine, kind: str):
    vectors = np.linspace(-2, 2, 5)[:, None] * np.ones(16)
    path = f"/live/animation/mnist-vae?format={kind}&frame_ms=50&scale=2&smooth=0"
    status, headers, body = send("POST", path, request(1, vectors))
    assert status == 200 and headers["content-type"] == f"image/{kind}"
    frames = decode_pixels(engine.models.get(SHIPPED), np.float32(vectors))[..., 0]
    with Image.open(io.BytesIO(body)) as image:
        assert image.n_frames == 5 and image.size == (56, 56) and image.info["loop"] == 0
        image.seek(4)
        np.testing.assert_array_equal(np.asarray(image.convert("L"))[::2, ::2], frames[4])


@pytest.mark.parametrize(
    "query, count, words",
    [
        ("", 1, "two pictures"),
        ("", 241, "1 to 240"),
        ("?format=exe", 2, "format"),
        ("?frame_ms=0", 2, "frame_ms"),
        ("?scale=x", 2, "scale"),
        ("?sclae=2", 2, "sclae"),
    ],
)
def test_animations_that_cannot_be_made(send: Send, query: str, count: int, words: str):
    body = request(1, np.zeros((count, 16)))
    status, said = sentence(send("POST", f"/live/animation/mnist-vae{query}", body))
    assert status == 400 and words in said


def test_thumbnails_are_asked_for_again_and_sent_once(send: Send, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    run = make_run(tmp_path, "a")
    assert sentence(send("GET", "/live/thumbnails/a")) == (404, "Run 'a' keeps no thumbnails.")
    assert send("GET", "/live/thumbnails/nobody")[0] == 404
    first, second = (to_png(np.full((1, 8, 8), grey, np.uint8)) for grey in (0, 255))
    run.write_bytes("thumbnails.png", first)
    status, headers, body = send("GET", "/live/thumbnails/a")
    assert (status, body) == (200, first)
    assert headers["cache-control"] == "no-cache" and headers["content-type"] == "image/png"
    assert send("GET", "/live/thumbnails/a", if_none_match=headers["etag"])[0] == 304
    run.write_bytes("thumbnails.png", second)
    assert send("GET", "/live/thumbnails/a", if_none_match=headers["etag"])[2] == second


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/live/decode/mnist-vae"),
        ("POST", "/live/encode/mnist-vae"),
        ("POST", "/live/animation/mnist-vae"),
        ("GET", "/live/thumbnails/mnist-vae"),
    ],
)
def test_other_sites_are_refused(send: Send, method: str, path: str):
    assert sentence(send(method, path, b"x", origin="https://evil.example"))[0] == 403


def test_bodies_are_bounded_and_broken_ones_answered(send: Send, monkeypatch):
    to = "/live/decode/mnist-vae"
    assert sentence(send("POST", to, bytes(MOST_MESSAGE + 1)))[0] == 413
    assert "shorter than its header" in parse(send("POST", to, b"\1\0\0\0")[2])[1]
    monkeypatch.setattr(compute, "MOST_ANIMATION_BYTES", 2**20)
    assert sentence(send("POST", "/live/animation/mnist-vae", bytes(2**20 + 1)))[0] == 413


def test_a_defect_is_logged_and_told(send: Send, engine: Engine, monkeypatch, caplog):
    def broken(run: Run) -> Spread:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "models", ModelCache(broken))
    status, said = sentence(send("POST", "/live/encode/mnist-vae", encoded(picture())))
    assert status == 500 and "app's log" in said
    assert "ZeroDivisionError" in caplog.text


def test_what_one_picture_took_says_nothing_of_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.001, 10.0, 10.06])  # one picture in 1 ms, then 14 in 60 ms
    monkeypatch.setattr(
        "latent_workbench.live.engine.decode_pixels", lambda model, vectors: vectors
    )
    monkeypatch.setattr("latent_workbench.live.engine.time.perf_counter", lambda: next(now))
    engine, model = Engine(ModelCache()), torch.nn.Identity()
    for count in (1, 14):
        engine._decode(model, np.zeros((count, 2), np.float32))
    assert engine._seconds[model] == {1: pytest.approx(0.001), 14: pytest.approx(0.06)}
