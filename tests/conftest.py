"""Keeps every test away from the person's own runs, data and caches."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from tests.reach import trains_or_starts
from vae_core.runs import Run, Store

# pytest rewrites the assertions of every test file, half of the time that collecting takes, and
# keeps what it has rewritten, unless the environment forbids to write bytecode.
sys.dont_write_bytecode = False

# How fast an example runs says nothing on a shared machine.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# Before torch is imported anywhere, here or in a worker that a test starts: two cores are shared
# with a browser, and spinning threads would make both crawl.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# UMAP compiles itself for half a minute and runs for a tenth of a second.
os.environ.setdefault("NUMBA_OPT", "0")


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A store, data, cache and configuration folder for the session; workers inherit them."""
    for variable in ("VAE_STORE", "VAE_DATA", "VAE_CACHE", "VAE_CONFIG"):
        os.environ[variable] = str(tmp_path_factory.mktemp(variable.lower()))
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    shared.mkdir(exist_ok=True)
    os.environ["VAE_TEST_SHARED"] = str(shared)


_stores = count()


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of its own for each test, numbered here: pytest reads all names to find a free one,
    which by the thousandth test takes milliseconds."""
    place = tmp_path_factory.mktemp(f"store-{next(_stores)}", numbered=False)
    monkeypatch.setenv("VAE_STORE", str(place))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A training in the process of a test may have taken every core; the next test has one."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Processes are killed in tests, but nobody cuts the power: a file need not be on the disk."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished tiny run on digits that no process works on; copy it before changing it."""
    from tests.engine import trained  # torch, which the variables above have to precede

    return trained(tmp_path_factory.mktemp("finished"), "tiny")


@pytest.fixture
def tiny_run(tmp_path: Path, finished: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the finished run, alone in the store that the app shows."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    shutil.copytree(finished.path, tmp_path / "tiny")
    return Store().get("tiny")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make check` leaves out what trains a model or starts a process or a server."""
    for item in items:
        if trains_or_starts(item):
            item.add_marker(pytest.mark.training)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """On CI a skipped test counts as a failed run: nothing may be left unchecked there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") == "true" and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
