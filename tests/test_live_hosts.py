"""Under which names the app is reached: what a stranger's page may not, whoever it says it is."""

from __future__ import annotations

import socket
import time

import pytest
from starlette.datastructures import Headers

from latent_workbench.shared import hosts
from tests.configured import AUTH, options, secrets

OWN = socket.gethostname().lower()


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8501", "LOCALHOST:1", "127.0.0.1:8501", "127.9.9.9", "[::1]:8501",
     "192.168.1.5:8501", "[2001:db8::5]", "app.localhost:80", f"{OWN}:8501"],
)  # fmt: skip
def test_addresses_and_this_computer_need_no_configuration(host: str) -> None:
    assert hosts.refusal(Headers({"host": host})) == ""


FOREIGN = [
    "evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "",
    "127.0.0.1@evil.example", "evil.example#localhost", "localhost/evil.example", "2130706433",
    "0x7f.1", "localhost:port", " ", "localhost evil.example", "[::1", "evil.example:80:80",
    "localhost:99999999",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_a_stranger_points_here_is_refused(host: str) -> None:
    """DNS rebinding: host and origin agree, and both are a name of the stranger's."""
    same = Headers({"host": host, "origin": f"http://{host}"})
    assert hosts.refusal(same) == hosts.refusal(Headers({"host": host})) == hosts.FOREIGN_HOST


def test_no_host_and_two_hosts_are_refused() -> None:
    assert hosts.refusal(Headers({})) == hosts.FOREIGN_HOST
    two = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")])
    assert hosts.refusal(two) == hosts.FOREIGN_HOST
    origins = [(b"origin", b"http://localhost"), (b"origin", b"http://evil.example")]
    assert hosts.refusal(Headers(raw=[(b"host", b"localhost"), *origins])) == hosts.FOREIGN_ORIGIN


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example", "null", "", "file://", "http://localhost.evil",
     "http://10.0.0.7:8501", "http://localhost@evil.example", "chrome-extension://abc", "http://",
     "data:text/html,x", "//localhost", "localhost:8501", "http://[::1"],
)  # fmt: skip
def test_foreign_origins_are_refused(origin: str) -> None:
    headers = Headers({"host": "localhost:8501", "origin": origin})
    assert hosts.refusal(headers) == hosts.FOREIGN_ORIGIN


@pytest.mark.parametrize(
    "host, origin",
    [
        ("localhost:8501", "http://localhost:8501"),
        ("192.168.1.5:8501", "http://192.168.1.5:8501"),
        ("192.168.1.5:8501", "https://192.168.1.5:8501"),  # TLS ends at a proxy
        ("127.0.0.1:8501", "http://localhost:8080"),  # a proxy of this computer
        ("Localhost:8501", "http://localhost:8501"),
    ],
)
def test_the_app_itself_is_let_in(host: str, origin: str) -> None:
    assert hosts.refusal(Headers({"host": host, "origin": origin})) == ""


def test_a_page_of_the_visitors_own_computer_may_not_talk_to_a_server_elsewhere() -> None:
    headers = Headers({"host": "192.168.1.5:8501", "origin": "http://localhost:3000"})
    assert hosts.refusal(headers) == hosts.FOREIGN_ORIGIN


@pytest.mark.parametrize(
    "given",
    [
        {"server_allowedHosts": ["lab.example.org"]},
        {"server_allowedHosts": ["other.example", "*.example.org"]},
        {"server_allowedHosts": ["*"]},
        {"browser_serverAddress": "lab.example.org"},
        {"server_address": "lab.example.org"},
    ],
)
def test_configured_names_are_let_in_and_so_is_a_proxy_that_rewrites_the_host(given) -> None:
    direct = Headers({"host": "Lab.example.org", "origin": "https://lab.example.org"})
    rewritten = Headers({"host": "127.0.0.1:8501", "origin": "https://lab.example.org"})
    assert hosts.refusal(direct) == hosts.FOREIGN_HOST
    assert hosts.refusal(rewritten) == hosts.FOREIGN_ORIGIN
    with options(**given):
        assert hosts.refusal(direct) == hosts.refusal(rewritten) == ""
        assert hosts.under_its_origin(rewritten) == "lab.example.org"
        if given.get("server_allowedHosts") != ["*"]:
            assert hosts.refusal(Headers({"host": "example.com"})) == hosts.FOREIGN_HOST


def test_the_name_that_people_come_back_to_from_logging_in_is_configured(tmp_path) -> None:
    with secrets(tmp_path, AUTH):
        assert hosts.refusal(Headers({"host": "lab.example.org"})) == ""


def test_listed_origins_are_let_in() -> None:
    headers = Headers({"host": "localhost", "origin": "https://portal.example.org"})
    with options(server_corsAllowedOrigins=["https://portal.example.org"]):
        assert hosts.refusal(headers) == ""
        other = Headers({"host": "localhost", "origin": "http://portal.example.org"})
        assert hosts.refusal(other) == hosts.FOREIGN_ORIGIN
    with options(server_enableCORS=False):
        assert hosts.refusal(headers) == ""


def test_a_thousand_foreign_origins_take_no_time() -> None:
    headers = Headers({"host": "localhost", "origin": "https://evil.example"})
    started = time.perf_counter()
    for _ in range(1000):
        hosts.refusal(headers)
    assert time.perf_counter() - started < 2  # 0.15 s; one look-up alone takes up to 2 s
