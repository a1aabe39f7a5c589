"""The real app on a port of its own, and a real browser to drive it."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.app import CHROMIUM, served
from tests.engine import trained
from tests.test_jobs import until
from vae_core.runs import Store
from vae_core.sweeps import sweeps_of
from vae_core.training import jobs

FAILED = pytest.StashKey[bool]()
PATIENCE_MS = 60_000
"""Longest that any wait of a test may take; a shared machine can be slow."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of the app under test, with one trained run called `tiny`."""
    path = tmp_path_factory.mktemp("browser-store")
    trained(path, "tiny")
    return Store(path)


@pytest.fixture(scope="session")
def app_url(store: Store) -> Iterator[str]:
    """The address of a running app, without a slash at its end."""
    with served(store) as (url, _):
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that playwright brought."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def _nothing_is_left(store: Store) -> Iterator[None]:
    """End and remove whatever a test made beside `tiny`, so that it may be tried again."""
    yield
    for sweep in sweeps_of(store):
        if sweep.is_alive():
            sweep.send("cancel")
            until(lambda sweep=sweep: not sweep.is_alive())  # type: ignore[misc]
        sweep.delete()
    for run in store:
        if run.is_alive():
            jobs.send(run, {"command": "stop"})
            until(lambda run=run: not run.is_alive())  # type: ignore[misc]
        if run.id != "tiny":
            run.delete()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser, a server and a training share the cores of a machine that others use too: what
    fails here is tried once more. The summary names it, and its first failure."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixture `page` know how its test ended."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh tab, 1280 × 800; a script error in it fails the test.

    What it shows when a test fails is printed with the failure.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if request.node.stash.get(FAILED, False):
        print(f"{page.url}\n{page.locator('body').inner_text()}")
    context.close()
    assert errors == []
