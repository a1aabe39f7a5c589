"""Logging in with a provider, as a person does; what a stranger and a reader then may."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.app import CHROMIUM, free_port, served
from tests.provider import Provider, providing
from vae_core.runs import Store

from .conftest import PATIENCE_MS
from .test_explore import CANVAS, picture, thumb, wait_for_change

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

OPENS = """async (path) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}${path}`);
    socket.onopen = () => { resolve("opens"); socket.close(); };
    socket.onerror = () => resolve("refused");
})"""
STATUS = "async (path) => (await fetch(path)).status"
SOCKET, FILE = "/live/decode/tiny", "/live/thumbnails/tiny"


@dataclass(frozen=True)
class Guarded:
    """The app at `url`, whose people log in at `provider`."""

    url: str
    provider: Provider
    log: Path

    def log_in(self, page: Page, who: str) -> None:
        page.goto(self.url)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name=who).click()
        page.get_by_role("button", name="Log out").wait_for()


@pytest.fixture(scope="module")
def guarded(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, port = tmp_path_factory.mktemp("login"), free_port()
    url = f"http://127.0.0.1:{port}"
    with providing() as provider:
        more = '[access]\ntrainers = ["ann@example.org"]\n'
        (folder / "secrets.toml").write_text(provider.secrets(url, more))
        options = ["--secrets.files", str(folder / "secrets.toml")]
        with served(store, port, options, folder / "log"):
            yield Guarded(url, provider, folder / "log")


def test_a_stranger_sees_the_page_to_log_in_and_nothing_else(page: Page, guarded: Guarded) -> None:
    for address in ("", "/explore?run=tiny", "/train", "/encodings"):
        page.goto(guarded.url + address)
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert "tiny" not in page.locator("body").inner_text()
        assert page.locator("canvas").count() == 0
    assert page.evaluate(OPENS, SOCKET) == "refused"
    assert page.evaluate(STATUS, FILE) == 401


def test_who_logs_in_drags_and_who_logs_out_is_a_stranger_again(
    page: Page, guarded: Guarded
) -> None:
    guarded.log_in(page, "ann@example.org")
    assert "token for ann@example.org" in guarded.provider.asked
    page.goto(f"{guarded.url}/explore?run=tiny")
    page.locator(f"{CANVAS}.drawn").wait_for()
    x, y = thumb(page)
    before = picture(page)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(x + 15 * step, y)
    wait_for_change(page, before)
    page.mouse.up()
    assert page.evaluate(OPENS, SOCKET) == "opens"
    assert page.evaluate(STATUS, FILE) == 200
    page.goto(f"{guarded.url}/train")
    expect(page.locator(".st-key-start-training button")).to_be_enabled()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert guarded.provider.asked[-1] == "end of session"
    assert page.evaluate(OPENS, SOCKET) == "refused"
    assert page.evaluate(STATUS, FILE) == 401
    log = guarded.log.read_text()
    assert "'ann@example.org' comes in" in log
    assert f"'ann@example.org' opens '{SOCKET}'" in log
    assert f"Refused socket '{SOCKET}' (401)" in log and f"Refused GET '{FILE}' (401)" in log


def test_a_reader_drags_and_looks(page: Page, guarded: Guarded) -> None:
    guarded.log_in(page, "bob@example.org")
    page.locator(f"{CANVAS}.drawn").wait_for()
    assert page.evaluate(OPENS, SOCKET) == "opens"
    page.goto(f"{guarded.url}/train?run=tiny")
    expect(page.get_by_text("is for others here").first).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert page.locator(".st-key-start-training").count() == 0
    page.goto(guarded.url)
    page.locator(".st-key-menu-tiny button").click()
    page.get_by_text("Delete for good").click()
    expect(page.get_by_role("button", name="Delete tiny")).to_be_disabled()


@pytest.fixture(scope="module")
def rebound(browser: Browser, app_url: str) -> Iterator[Page]:
    """A page in a browser in which a stranger's name leads to this computer (DNS rebinding)."""
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    chromium = browser.browser_type
    strange = chromium.launch(executable_path=shutil.which("chromium"), args=[*CHROMIUM, rules])
    page = strange.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    strange.close()


def test_a_name_that_leads_here_by_rebinding_shows_nothing(rebound: Page, app_url: str) -> None:
    port = app_url.rpartition(":")[2]
    for path in ("", "/explore?run=tiny", "/live/thumbnails/tiny", "/_stcore/health"):
        answer = rebound.goto(f"http://evil.example:{port}{path}")
        assert answer is not None and answer.status == 403
        assert "server.allowedHosts" in rebound.locator("body").inner_text()
    assert rebound.evaluate(OPENS, SOCKET) == "refused"
    assert rebound.evaluate(OPENS, "/_stcore/stream") == "refused"
    answer = rebound.goto(f"http://127.0.0.1:{port}/live/thumbnails/tiny")
    assert answer is not None and answer.status == 200
