"""The store and its names, and states told by the process rather than by a flag."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.locations import STORE_VARIABLE
from vae_core.runs import Job, Run, Status, Store, is_running

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def run(store: Store) -> Run:
    return store.create("one", RunConfig())


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


# --- the store -----------------------------------------------------------------------------------


def test_the_store_is_where_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "from-environment"))
    assert Store().path == tmp_path / "from-environment"
    assert Store(tmp_path / "given").path == tmp_path / "given"
    monkeypatch.delenv(STORE_VARIABLE)
    assert Store().path == Path(__file__).resolve().parent.parent / "trained_models"


def test_a_run_is_created_found_and_deleted(store: Store) -> None:
    config = RunConfig().updated({"model": {"latent_dim": 3}})
    run = store.create("a-run_1.0", config)
    assert run.id == "a-run_1.0"
    assert store.get("a-run_1.0").config() == config
    assert [found.id for found in store] == ["a-run_1.0"]
    run.delete()
    assert list(store) == []
    assert not run.path.exists()


def test_a_taken_name_loses_nothing(store: Store, run: Run) -> None:
    before = run.config()
    with pytest.raises(UserError, match=r"already a run called 'one'.*choose another name"):
        store.create("one", RunConfig().updated({"family": "autoencoder"}))
    assert run.config() == before
    assert store.free_name("one") == "one-2"
    store.create("one-2", RunConfig())
    assert store.free_name("one") == "one-3"
    assert store.free_name("two") == "two"


def test_a_wish_that_is_too_long_becomes_a_name_of_its_own(store: Store) -> None:
    long = "a" * 90
    names = [store.free_name(wish) for wish in (long + "1", long + "2", "b" * 80)]
    assert len(set(names)) == 3 and all(len(name) == 80 for name in names)
    assert store.free_name(long + "1") == names[0], "the same wish, the same name"
    assert names[2] == "b" * 80, "what fits is left as it is"
    for name in names:
        store.create(name, RunConfig())
    again = [store.free_name(wish) for wish in (long + "1", "b" * 80)]
    assert not set(again) & set(names) and all(len(name) <= 80 for name in again)


BAD_NAMES = ["", ".", "..", "../x", "/abs", "a/b", "a\\b", "x" * 200, "-x", ".hidden", "a b", "a\n"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "\0", "é", "x\udcff"])
def test_a_name_that_is_no_plain_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UserError) as error:
        store.create(name, RunConfig())
    assert repr(name) in str(error.value)
    assert "letters, digits" in str(error.value)
    with pytest.raises(UserError):
        store.get(name)
    assert not store.path.exists()


@given(name=st.text(max_size=100))
def test_no_name_leaves_the_store(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = tmp_path_factory.mktemp("base")
    store = Store(base / "runs")
    try:
        run = store.create(name, RunConfig())
    except UserError:
        assert not any(base.iterdir())
    else:
        assert run.path.parent == store.path
        assert [path.name for path in store.path.iterdir()] == [name]


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", fullmatch=True))
def test_every_plain_name_is_welcome(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    store = Store(tmp_path_factory.mktemp("runs"))
    store.create(name, RunConfig())
    assert [run.id for run in store] == [name]


def test_an_unknown_run_is_named(store: Store) -> None:
    with pytest.raises(UserError, match="no run called 'nobody'"):
        store.get("nobody")


def test_runs_come_newest_first(store: Store) -> None:
    for age, name in enumerate(["new", "middle", "old"]):
        path = store.create(name, RunConfig()).file("config.json")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert [run.id for run in store] == ["new", "middle", "old"]


def test_a_run_deleted_while_the_store_is_listed_is_no_error(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("two", RunConfig())
    exists = Path.is_dir

    def vanish(path: Path, **options: Any) -> bool:
        there = exists(path, **options)
        if path.name == "two" and there:
            Run(path).delete()
        return there

    monkeypatch.setattr(Path, "is_dir", vanish)
    assert run.id in [found.id for found in store]


def test_a_store_that_is_a_file_is_no_taken_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be created"):
        Store(tmp_path / "file").create("x", RunConfig())


def test_other_folders_and_files_are_no_runs(store: Store, run: Run) -> None:
    (store.path / ".cache").mkdir()
    (store.path / "notes.txt").write_text("mine")
    assert [found.id for found in store] == ["one"]


# --- state ---------------------------------------------------------------------------------------


def say(run: Run, **status: Any) -> None:
    run.set_status(Status(**status))


def test_a_run_with_a_living_worker_is_what_it_says(
    run: Run, worker: subprocess.Popen[bytes]
) -> None:
    run.claim(worker.pid)
    for state in ("starting", "training", "paused"):
        say(run, state=state, step=7)
        status = run.status()
        assert (status.state, status.step) == (state, 7)
    assert status.updated.endswith("+00:00")
    with pytest.raises(UserError, match="still training"):
        run.delete()
    assert run.config() == RunConfig()


def test_a_killed_worker_is_interrupted_and_keeps_its_step(
    run: Run, worker: subprocess.Popen[bytes]
) -> None:
    run.claim(worker.pid)
    say(run, state="training", step=7)
    worker.kill()
    worker.wait()
    status = run.status()
    assert (status.state, status.step) == ("interrupted", 7)


def test_a_zombie_is_dead(run: Run, worker: subprocess.Popen[bytes]) -> None:
    run.claim(worker.pid)
    say(run, state="training")
    worker.kill()
    process = psutil.Process(worker.pid)
    deadline = time.monotonic() + 10
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.status() == psutil.STATUS_ZOMBIE
    assert run.status().state == "interrupted"


def test_a_reused_process_id_is_somebody_else(run: Run, worker: subprocess.Popen[bytes]) -> None:
    say(run, state="training")
    began = psutil.Process(worker.pid).create_time()
    run.write_json("job.json", Job(pid=worker.pid, create_time=began - 3600))
    assert run.status().state == "interrupted"
    run.write_json("job.json", Job(pid=worker.pid, create_time=began + 1))  # the clock was set
    assert run.status().state == "training"


@pytest.mark.parametrize("pid", [-1, 2**22 + 1, 2**31, 2**63, 2**100])
def test_an_impossible_process_id_is_nobody(pid: int) -> None:
    assert not is_running(Job(pid=pid, create_time=0.0))


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "interrupted"])
def test_a_run_at_rest_stays_what_it_said(run: Run, state: str) -> None:
    say(run, state=state, message="why")
    assert (run.status().state, run.status().message) == (state, "why")


def test_a_run_that_nobody_began_is_interrupted(run: Run) -> None:
    assert run.status().state == "interrupted"


def test_the_last_word_of_a_worker_is_heard(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says `finished` and ends between our reading of the status and our look for it."""
    say(run, state="training", step=9)

    def ends(run: Run) -> bool:
        say(run, state="finished", step=10)
        return False

    monkeypatch.setattr(Run, "is_alive", ends)
    assert (run.status().state, run.status().step) == ("finished", 10)
