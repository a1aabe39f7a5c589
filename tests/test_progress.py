"""What the live charts are fed with: the history reader, its decimation, and the routes."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from latent_workbench.live.columns import MAX_CELLS, MAX_POINTS, Columns, decimate, heat
from latent_workbench.live.history import Cursor, History
from latent_workbench.live.progress import ProgressServer
from vae_core.config import RunConfig
from vae_core.imaging.png import to_png
from vae_core.runs import Run, Status, Store

from .live import port_of, serving


def step_record(step: int, **extra: Any) -> dict[str, Any]:
    terms = {"recon": 100 / (step + 1), "kl": step * 0.01}
    return {"kind": "step", "step": step, "epoch": 0, "time": step * 0.1, "terms": terms,
            "total": sum(terms.values()), "beta": 1.0, "images_per_s": 900.0, **extra}  # fmt: skip


def test_gradient_and_learning_rate_are_curves_of_the_steps_that_have_them(run: Run) -> None:
    run.append("history.jsonl", step_record(1))
    run.append("history.jsonl", step_record(2, gradient_norm=3.5, learning_rate=0.001))
    history = History(run)
    history.refresh()
    train = history.full()[0]["train"]
    assert train["gradient_norm"]["step"] == [2] and train["gradient_norm"]["y"] == [3.5]
    assert train["learning_rate"]["y"] == [0.001] and train["recon"]["step"] == [1, 2]


def validation_record(step: int, kl_per_dim: list[float]) -> dict[str, Any]:
    return {"kind": "validation", "step": step, "epoch": 1, "time": step * 0.1,
            "terms": {"recon": 50.0, "kl": 3.0}, "total": 53.0,
            "kl_per_dim": kl_per_dim, "active_units": len(kl_per_dim)}  # fmt: skip


@pytest.fixture
def run() -> Run:
    return Store().create("a-run", RunConfig())


# --- the reader ---------------------------------------------------------------------------------


def test_increments_add_up_to_the_whole(run: Run) -> None:
    history = History(run)
    got: dict[str, list[float]] = {"step": [], "y": []}
    cursor = Cursor()
    for start in range(0, 50, 7):
        for step in range(start, min(start + 7, 50)):
            run.append("history.jsonl", step_record(step))
        history.refresh()
        news, cursor = history.since(cursor)
        assert news.get("restart", False) == (start == 0)
        for key, values in got.items():
            values += news["train"]["recon"][key]
    assert got["step"] == list(range(50))
    assert got["y"] == pytest.approx([100 / (step + 1) for step in range(50)], rel=1e-4)
    assert history.since(cursor) == ({}, cursor)


def test_every_kind_of_record_arrives(run: Run) -> None:
    for record in (
        step_record(10),
        {"kind": "set", "step": 12, "name": "beta", "value": 4.0},
        {"kind": "set", "step": 12, "name": "capacity", "value": 9.0},
        {"kind": "preview", "step": 12, "epoch": 0, "time": 1.2, "kl_per_dim": [0.5, 0.0]},
        validation_record(20, [1.5, 0.25]),
        {"kind": "checkpoint", "step": 20},
        {"kind": "note", "step": 20, "message": "The loss is not finite."},
    ):
        run.append("history.jsonl", record)
    history = History(run)
    history.refresh()
    news, _ = history.full()
    assert news["changes"] == [{"step": 12, "time": 1.0, "value": 4.0}]
    assert news["previews"] == [12]
    assert news["kl"] == {"step": [12, 20], "values": [[0.5, 0.0], [1.5, 0.25]]}
    assert news["validation"]["total"] == {"step": [20.0], "time": [2.0], "y": [53.0]}
    assert (news["active_units"], news["beta"]) == (2, 4.0)
    assert news["note"] == "The loss is not finite."


def test_zero_is_news_too(run: Run) -> None:
    history = History(run)
    run.append("history.jsonl", step_record(1))
    history.refresh()
    _, cursor = history.since(Cursor())
    collapsed = validation_record(2, [0.0, 0.0]) | {"active_units": 0}
    run.append("history.jsonl", collapsed)
    run.append("history.jsonl", step_record(3, beta=0.0))
    history.refresh()
    news, _ = history.since(cursor)
    assert (news["active_units"], news["beta"]) == (0, 0.0)


def test_a_torn_last_line_waits_for_its_rest(run: Run) -> None:
    whole = json.dumps(step_record(1)).encode()
    history = History(run)
    run.file("history.jsonl").write_bytes(whole[:30])
    history.refresh()
    assert history.full()[0]["train"] == {}
    run.file("history.jsonl").write_bytes(whole + b"\n")
    history.refresh()
    assert history.full()[0]["train"]["kl"]["step"] == [1.0]


def test_quick_steps_keep_their_own_moments(run: Run) -> None:
    for step in range(5):
        run.append("history.jsonl", step_record(step, time=10 + step / 1000))
    history = History(run)
    history.refresh()
    times = history.full()[0]["train"]["total"]["time"]
    assert times == [10.0, 10.001, 10.002, 10.003, 10.004]


def test_damaged_lines_are_left_out_and_said(run: Run) -> None:
    for record in (step_record(1), {"kind": "step"}, {"kind": "preview"}, step_record(2)):
        run.append("history.jsonl", record)
    with run.file("history.jsonl").open("ab") as file:
        file.write(b"\0\0\0 torn by a power cut\n[1, 2]\n")
    history = History(run)
    history.refresh()
    news, _ = history.full()
    assert news["train"]["recon"]["step"] == [1.0, 2.0]
    assert "damaged" in news["note"]


def test_values_that_are_not_finite_never_reach_the_browser(run: Run) -> None:
    run.append("history.jsonl", step_record(1))
    run.append("history.jsonl", step_record(2, total=float("nan"), beta=float("inf")))
    run.append("history.jsonl", validation_record(3, [float("nan"), 1.0]))
    history = History(run)
    history.refresh()
    news, _ = history.full()
    assert news["train"]["total"]["step"] == [1.0]
    assert news["kl"]["values"] == [[None, 1.0]]
    json.dumps(news, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_reader_always_shows_what_the_file_says(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Appends in torn pieces, and a resume that cuts the file and writes on."""
    run = Store(tmp_path_factory.mktemp("store")).create("a-run", RunConfig())
    path = run.file("history.jsonl")
    history, cursor = History(run), Cursor()
    held: list[float] = []
    lines: list[int] = []
    pending = b""
    content = b""
    counter = 0
    for _ in range(data.draw(st.integers(1, 12))):
        action = data.draw(st.sampled_from(["append", "append", "tear", "cut"]))
        if action == "append":
            for _ in range(data.draw(st.integers(1, 5))):
                counter += 1
                pending += json.dumps(step_record(counter)).encode() + b"\n"
                lines.append(counter)
            content, pending = content + pending, b""
        elif action == "tear":
            counter += 1
            text = json.dumps(step_record(counter)).encode() + b"\n"
            at = data.draw(st.integers(0, len(text) - 1))
            content, pending = content + pending + text[:at], text[at:]
            path.write_bytes(content)
            history.refresh()
            news, cursor = history.since(cursor)
            held = _held(held, news)
            assert held == lines
            lines.append(counter)
            content, pending = content + pending, b""
        else:
            keep = data.draw(st.integers(0, len(lines)))
            lines = lines[:keep]
            content = b"".join(content.splitlines(keepends=True)[:keep])
            # A resumed run goes on from there, with numbers that were never written before.
            for _ in range(data.draw(st.integers(0, 8))):
                counter += 1
                content += json.dumps(step_record(counter)).encode() + b"\n"
                lines.append(counter)
        path.write_bytes(content)
        history.refresh()
        news, cursor = history.since(cursor)
        held = _held(held, news)
        assert held == lines


def _held(held: list[float], news: dict[str, Any]) -> list[float]:
    """What a browser holds after `news`."""
    kept = [] if news.get("restart") else held
    return kept + news.get("train", {}).get("total", {}).get("step", [])


def test_two_threads_may_refresh_at_once(run: Run) -> None:
    for step in range(3000):
        run.append("history.jsonl", step_record(step))
    history = History(run)
    threads = [threading.Thread(target=history.refresh) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    news, cursor = history.full()
    assert cursor.train == 3000
    assert len(news["train"]["kl"]["step"]) <= MAX_POINTS


# --- decimation ---------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(0, 30_000),
    window=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    zoomed=st.booleans(),
)
def test_decimation_is_bounded_and_ordered(
    rows: int, window: tuple[float, float], zoomed: bool
) -> None:
    x = np.arange(rows, dtype=np.float64)
    y = np.sin(x / 50) + (x % 97 == 0)
    limits = (min(window) * rows, max(window) * rows) if zoomed else None
    kept = decimate(x, y, limits)
    assert len(kept) <= MAX_POINTS
    assert (np.diff(kept) > 0).all()
    assert len(kept) == rows or len(kept) >= min(rows, MAX_POINTS) // 10
    if rows and limits is None:
        assert kept[0] == 0 and kept[-1] == rows - 1


def test_decimation_keeps_a_single_spike() -> None:
    y = np.zeros(100_000)
    y[54_321] = 9.0
    assert 54_321 in decimate(np.arange(100_000.0), y)


def test_zoom_spends_the_points_inside() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x)
    inside = (decimate(x, y, (40_000, 41_000)) // 1000 == 40).sum()
    assert inside >= 1000


def test_columns_grow_and_late_ones_begin_empty() -> None:
    columns = Columns()
    for i in range(200):
        columns.append({"a": i} if i < 100 else {"a": i, "b": -i})
    assert columns["a"].tolist() == list(range(200))
    assert np.isnan(columns["b"][:100]).all()
    assert columns["b"][100:].tolist() == [-i for i in range(100, 200)]


def test_heat_map_is_thinned_and_keeps_the_newest() -> None:
    values: list[list[float | None]] = [[float(i)] * 64 for i in range(5000)]
    shown = heat(list(range(5000)), values)
    assert len(shown["step"]) * 64 <= MAX_CELLS
    assert shown["step"][-1] == 4999
    assert heat([], []) == {}


# --- the routes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Client:
    """Talks to a real server on a port of its own."""

    port: int

    def watch(self, run: str, origin: str | None = None) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/live/progress/{run}"
        return connect(address, origin=origin, open_timeout=10)  # type: ignore[arg-type]

    def get(self, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def told(socket: ClientConnection) -> dict[str, Any]:
    """The next message."""
    return json.loads(socket.recv(timeout=10))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(ProgressServer(interval=0.02).routes()) as server:
        yield Client(port_of(server))


def test_first_message_is_everything_then_only_what_is_new(client: Client, run: Run) -> None:
    run.set_status(Status(state="finished", step=5, total_steps=5))
    for step in range(5):
        run.append("history.jsonl", step_record(step))
    with client.watch("a-run") as socket:
        first = told(socket)
        assert first["restart"] and first["status"]["state"] == "finished"
        assert first["train"]["recon"]["step"] == [0, 1, 2, 3, 4]
        assert first["run"] == {"originals": False, "epochs": 10}
        run.append("history.jsonl", step_record(5))
        second = told(socket)
        assert second["train"]["recon"]["step"] == [5]
        assert not {"restart", "status", "run", "previews"} & second.keys()


def test_a_worker_that_died_is_shown_as_interrupted(client: Client, run: Run) -> None:
    run.set_status(Status(state="training", step=5, total_steps=50))
    with client.watch("a-run") as socket:
        assert told(socket)["status"]["state"] == "interrupted"


def test_a_damaged_status_is_told_and_the_curves_still_come(client: Client, run: Run) -> None:
    run.file("status.json").write_text("{")
    run.append("history.jsonl", step_record(0))
    with client.watch("a-run") as socket:
        news = told(socket)
    assert news["status"]["state"] == "damaged" and "status.json" in news["status"]["message"]
    assert news["train"]["kl"]["step"] == [0]


def test_a_client_may_ask_for_a_stretch(client: Client, run: Run) -> None:
    lines = (json.dumps(step_record(step)) for step in range(20_000))
    run.file("history.jsonl").write_text("\n".join(lines) + "\n")
    with client.watch("a-run") as socket:
        first = told(socket)
        assert first["decimated"] and len(first["train"]["recon"]["step"]) <= MAX_POINTS
        socket.send(json.dumps({"want": "series", "axis": "step", "low": 5000, "high": 6000}))
        steps = np.array(told(socket)["train"]["recon"]["step"])
    assert len(steps) <= MAX_POINTS
    assert ((steps >= 5000) & (steps <= 6000)).sum() > 900


def test_whoever_zooms_in_a_running_training_holds_every_point_once(
    client: Client, run: Run
) -> None:
    """A client replaces at `restart` and appends otherwise, as the browser does."""
    run.set_status(Status(state="training", step=1, total_steps=90_000))
    steps = iter(range(90_000))
    held: dict[str, list[float]] = {"train": [], "validation": [], "kl": []}

    def grow(count: int) -> None:
        records = []
        for step in itertools.islice(steps, count):
            records.append(step_record(step))
            if step % 100 == 99:
                kl = {"kind": "preview", "step": step, "kl_per_dim": [0.5, 0.1]}
                records += [kl, validation_record(step, [0.5, 0.1])]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        with run.file("history.jsonl").open("ab", buffering=0) as file:
            file.write(lines.encode())  # in one piece, so that one message tells it

    def take(socket: ClientConnection) -> dict[str, Any]:
        news = told(socket)
        for part, kept in held.items():
            new = news.get(part, {})
            new = new.get("step", []) if part == "kl" else new.get("total", {}).get("step", [])
            held[part] = new if news.get("restart") else kept + new
            assert sorted(set(held[part])) == held[part], f"{part} rises, and nothing comes twice"
        return news

    def inside(low: float, high: float) -> int:
        return sum(low <= step <= high for step in held["train"])

    grow(5000)
    with client.watch("a-run") as socket:
        assert take(socket)["decimated"]
        assert inside(3000, 3200) < 150
        for low, high in ((3000, 3200), (100, 150), (3000, 3200)):
            socket.send(json.dumps({"want": "series", "low": low, "high": high}))
            assert take(socket)["restart"]
            assert inside(low, high) == high - low + 1, "every point that was recorded there"
            grow(300)  # and training goes on
            assert "restart" not in take(socket)
            assert inside(low, high) == high - low + 1 and held["train"][-1] % 100 == 99
        grow(3000)  # more than one message holds: whole again, and as it is looked at
        assert take(socket)["restart"] and inside(3000, 3200) == 201
        socket.send(json.dumps({"want": "series"}))
        assert take(socket)["restart"] and inside(3000, 3200) < 150
        grow(10)
        take(socket)
        assert held["train"][-10:] == list(range(8900, 8910))


@pytest.mark.parametrize(
    "text", ["", "{", '{"want": "all"}', '{"want": "series", "low": NaN}', "[" * 5000, b"bytes"]
)
def test_what_is_no_question_closes_the_socket(client: Client, run: Run, text: str | bytes) -> None:
    with client.watch("a-run") as socket:
        told(socket)
        socket.send(text)
        with pytest.raises(ConnectionClosed) as left:
            told(socket)
    assert left.value.rcvd is not None and left.value.rcvd.code == 1008


def test_foreign_origins_are_refused(client: Client, run: Run) -> None:
    with pytest.raises(InvalidStatus) as refused:
        client.watch("a-run", origin="http://evil.example")
    assert refused.value.response.status_code == 403
    answer, _ = client.get("/live/preview/a-run/originals.png", Origin="http://evil.example")
    assert answer.status == 403
    with client.watch("a-run", origin=f"http://127.0.0.1:{client.port}") as socket:
        assert told(socket)["kind"] == "news"


@pytest.mark.parametrize("name", ["nothing", "%2e%2e", ".hidden", "a%20b"])
def test_unknown_runs_are_refused_with_a_sentence(client: Client, run: Run, name: str) -> None:
    with client.watch(name) as socket:
        assert told(socket)["message"].endswith(".")
        with pytest.raises(ConnectionClosed) as left:
            told(socket)
    assert left.value.rcvd is not None and left.value.rcvd.code == 4004


def test_a_run_deleted_while_watched_ends_the_socket(client: Client, run: Run) -> None:
    run.set_status(Status(state="stopped"))
    with client.watch("a-run") as socket:
        told(socket)
        run.delete()
        assert "deleted" in told(socket)["message"]


def test_previews_come_as_they_lie_there(client: Client, run: Run) -> None:
    picture = to_png(np.zeros((1, 8, 8), np.uint8))
    run.write_bytes("previews/00000120-samples.png", picture)
    answer, body = client.get("/live/preview/a-run/00000120-samples.png")
    assert body == picture
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "address",
    [
        "a-run/00000121-samples",
        "a-run/..%2Fthumbnail",
        "a-run/../thumbnail",
        "a-run/00000120-samples.png%00",
        "a-run/12-samples",
        "..%2Fa-run/originals",
        "nothing/originals",
    ],
)
def test_no_address_leaves_the_previews(client: Client, run: Run, address: str) -> None:
    run.write_bytes("thumbnail.png", b"outside")
    run.write_bytes("previews/00000120-samples.png", b"inside")
    answer, body = client.get(f"/live/preview/{address}.png")
    assert answer.status == 404
    assert b"side" not in body


def test_plotly_is_served_once_and_kept(client: Client) -> None:
    answer, body = client.get("/live/plotly.min.js")
    assert answer.status == 200 and len(body) > 1_000_000
    assert "immutable" in answer.headers["cache-control"]
    assert "javascript" in answer.headers["content-type"]


def test_connections_share_one_history(run: Run) -> None:
    server = ProgressServer()
    history = server.history(run)
    assert server.history(Run(run.path)) is history
