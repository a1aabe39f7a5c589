"""The guard before every route of the real server: the whole table, walked by a stranger."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.app import ROOT, free_port, served
from vae_core.runs import Store

SECRET = "a secret of thirty characters.."


@dataclass(frozen=True)
class Server:
    """The app on a port of its own, with login, two trainers and readers."""

    port: int
    log: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cookie(self, secret: str = SECRET, name: str = "_streamlit_user", **claims: object) -> str:
        """A Cookie header of somebody who has logged in, as Streamlit makes them."""
        known = {"origin": self.origin, "is_logged_in": True, "email": "ann@example.org"} | claims
        value = create_signed_value(secret, "_streamlit_user", json.dumps(known)).decode()
        return f"{name}={value}"

    def ask(self, kind: str, method: str, path: str, **headers: str) -> int:
        """The status that is answered; 101 where a socket opens. `host` and others replace."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind == "socket":
            return self._open(path, sent)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host="host" in sent)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    def _open(self, path: str, headers: dict[str, str]) -> int:
        host, origin = headers.pop("host", f"127.0.0.1:{self.port}"), headers.pop("origin", None)
        here = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        try:
            uri, more = f"ws://{host}{path}", {"additional_headers": headers, "sock": here}
            with connect(uri, origin=origin, open_timeout=20, **more):  # type: ignore[arg-type]
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    (folder / "secrets.toml").write_text(f"""
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "x"
client_secret = "x"
server_metadata_url = "https://login.example.org/.well-known/openid-configuration"
[access]
trainers = ["ann@example.org"]
""")
    options = ["--secrets.files", str(folder / "secrets.toml")]
    with served(Store(folder / "store"), port, options, folder / "log"):
        yield Server(port, folder / "log")


@pytest.fixture(scope="module")
def table() -> list[tuple[str, str, str, bool]]:
    """(kind, method, path, ours) of every route; fails where one of ours has no guard."""
    command = [sys.executable, "-m", "tests.route_table"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = []
    for kind, methods, path, ours in json.loads(done.stdout):
        for name in (
            "run_id",
            "split",
            "name",
            "session_id",
            "file_id",
            "token",
            "upload",
            "version",
        ):
            path = path.replace(f"{{{name}}}", "x")
        path = path.replace("{file_id:path}", "x").replace("{path:path}", "x")
        path = path.replace("{index:int}", "0")
        assert "{" not in path, f"say what {path} is asked with"
        rows += [(kind, method, path, ours) for method in methods or ["GET"]]
    return rows


STREAM = "/_stcore/stream"
PRIVATE = ("/media/", "/_stcore/upload_file/", "/_stcore/metrics", "/_stcore/agent/")
"""Where Streamlit hands out, or takes, what belongs to somebody."""


def test_no_route_without_login(server: Server, table) -> None:
    let_in = []
    for kind, method, path, ours in table:
        status = server.ask(kind, method, path)
        if ours or path.startswith(PRIVATE):
            assert status == (403 if kind == "socket" else 401), (method, path, status)
        else:
            let_in.append(path)
            assert status not in (401, 403), (method, path, status)
    assert {STREAM, "/_stcore/health", "/auth/login", "/index.html"} <= set(let_in)


def test_no_route_under_a_strangers_name(server: Server, table) -> None:
    cookie = server.cookie()
    for kind, method, path, _ in table:
        rebound = {"host": "evil.example:8501", "origin": "http://evil.example:8501"}
        assert server.ask(kind, method, path, cookie=cookie, **rebound) == 403, (method, path)
        assert server.ask(kind, method, path, cookie=cookie, host="evil.example") == 403
        assert server.ask(kind, method, path, cookie=cookie, origin="http://evil.example") == 403


def test_every_route_for_who_has_logged_in(server: Server, table) -> None:
    for kind, method, path, _ in table:
        headers = {"cookie": server.cookie(), "origin": server.origin}
        if path.startswith("/_stcore/") and (method in ("PUT", "DELETE") or "/agent/" in path):
            continue  # Streamlit asks for a token of its own, or answers no page
        assert server.ask(kind, method, path, **headers) not in (401, 403), (method, path)


def test_readers_change_nothing(server: Server, table) -> None:
    reader = server.cookie(email="bob@example.org")
    computes = tuple(
        f"/live/{what}/" for what in ("decode", "encode", "animation", "looks", "charts")
    )
    walked = 0
    for kind, method, path, ours in table:
        keeps = ours or path.startswith("/_stcore/upload_file/")
        if kind == "http" and keeps and method not in ("GET", "OPTIONS"):
            status = server.ask(kind, method, path, cookie=reader, origin=server.origin)
            assert (status == 403) is not path.startswith(computes), (method, path, status)
            walked += status == 403
    assert walked >= 2  # Streamlit's uploads, and what of ours keeps something
    assert server.ask("socket", "GET", "/live/decode/x", cookie=reader) == 101


THUMBNAILS = "/live/thumbnails/x"  # 404 for who is let in


def test_cookies_that_are_none(server: Server) -> None:
    good = server.cookie()
    assert server.ask("http", "GET", THUMBNAILS, cookie=good) == 404
    assert server.ask("socket", "GET", "/live/progress/x", cookie=good) == 101
    tampered = good[:-3] + ("AAA" if good[-3:] != "AAA" else "BBB")
    for bad in (
        tampered,
        server.cookie(secret="another secret of thirty chars."),
        server.cookie(name="_streamlit_user_tokens"),
        server.cookie(is_logged_in=False),
        server.cookie(origin="https://elsewhere.example"),
        "_streamlit_user=",
        "_streamlit_user=chunks-2",
        "_streamlit_user=%ff%fe; _streamlit_user=x",
    ):
        assert server.ask("http", "GET", THUMBNAILS, cookie=bad) == 401, bad
        assert server.ask("socket", "GET", "/live/decode/x", cookie=bad) == 403, bad


def test_a_picture_that_another_site_embeds_is_refused(server: Server) -> None:
    """It is asked for without an origin, and with the visitor's cookie where a browser is lax."""
    asked = {"cookie": server.cookie(), "sec-fetch-site": "cross-site"}
    assert server.ask("http", "GET", THUMBNAILS, **asked) == 403
    assert server.ask("http", "GET", THUMBNAILS, cookie=server.cookie()) == 404


def test_the_log_says_who_was_refused_and_why(server: Server) -> None:
    server.ask("socket", "GET", "/live/decode/said", origin="http://evil.example")
    server.ask("http", "GET", "/live/thumbnails/said")
    server.ask("socket", "GET", "/live/decode/said", cookie=server.cookie())
    log = server.log.read_text()
    assert "Refused socket '/live/decode/said' (403)" in log and "'http://evil.example'" in log
    assert "Refused GET '/live/thumbnails/said' (401)" in log
    assert "'ann@example.org' opens '/live/decode/said'" in log
