"""Disks that are full or cannot be written: real ones, a few megabytes large."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import vae_core
from tests.engine import tiny
from tests.killed import in_child
from tests.pages import PAGES, open_page
from tests.test_jobs import until
from vae_core.errors import UserError
from vae_core.loading import load_run
from vae_core.runs import Run, Status, Store
from vae_core.sweeps import BETA, SweepSpec
from vae_core.sweeps.sweep import create_sweep, get_sweep, launch
from vae_core.training import jobs
from vae_core.training.events import Checkpoint, Event
from vae_core.training.worker import work

FULL = "could not be written: No space left on device. Free some space"
FIXED = "Read-only file system"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of its own, and the store that the app shows."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=True)
    monkeypatch.setenv("VAE_STORE", str(place))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits; the file that takes the space."""
    path = disk / ".filler"
    with path.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


def fix(disk: Path, how: str = "ro") -> None:
    """Make it read-only, between two writes, or writable again with "rw"."""
    command = ["mount", "-o", f"remount,{how}", str(disk)]
    until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0)


def test_a_disk_that_fills_up_fails_the_run_and_keeps_its_last_save(disk: Path) -> None:
    """In the background, where the log lies on that disk too; once there is space, it goes on."""
    few = {"epochs": 400, "checkpoint_every": 5, "preview_every": 9999}
    run = jobs.start(Store(disk), "full", tiny(train=few))
    until(lambda: (run.weights_step() or 0) >= 10, seconds=120)
    filler = fill(disk)
    until(lambda: not run.is_alive())
    said = run.status()
    assert said.state == "failed" and FULL in said.message
    saved = run.weights_step()
    assert saved and load_run(run).model is not None
    assert not list(run.path.rglob(".writing-*")) and not list(run.path.glob("lease-*"))
    fill(disk)  # what its end gave back
    with pytest.raises(UserError, match=FULL):
        jobs.resume(run)
    assert (run.status().state, run.weights_step()) == ("failed", saved)
    with pytest.raises(UserError, match="No space left"):
        jobs.start(Store(disk), "another", tiny())
    assert [each.id for each in Store(disk)] == ["full"], "the name is as free as before"
    open_page("gallery")
    page = open_page("train", run="full")
    assert any(FULL in str(each.value) for each in [*page.error, *page.warning, *page.code])
    filler.unlink()
    run.write_json("config.json", tiny(train={**few, "epochs": 10}))
    if saved < 50:
        assert work(Run(run.path)).finished and run.status().state == "finished"


def test_a_disk_that_turns_read_only_leaves_an_interrupted_run(disk: Path) -> None:
    run = Store(disk).create("fixed", tiny(train={"epochs": 4, "checkpoint_every": 5}))

    def at_the_second_save(event: Event) -> None:
        if isinstance(event, Checkpoint) and event.step == 10:
            until(lambda: run.weights_step() == 10)  # a thread writes it
            fix(disk)

    assert in_child(lambda: work(run, lambda total, first: [at_the_second_save])) == 1
    assert run.status().state == "interrupted" and run.weights_step() == 10
    told = vae_core("resume", "fixed", "--store", str(disk))
    assert told.returncode == 2 and "Traceback" not in told.stderr
    assert FIXED in told.stderr.splitlines()[-1]
    fix(disk, "rw")
    assert in_child(lambda: work(run)) == 0
    assert run.status().state == "finished" and run.weights_step() == 20


def test_on_a_read_only_store_each_wish_is_answered_by_a_sentence(
    disk: Path, finished: Run
) -> None:
    store = Store(disk)
    shutil.copytree(finished.path, disk / "tiny")
    stopped = store.get("tiny")
    stopped.set_status(Status(state="stopped", step=5, total_steps=10))
    spec = SweepSpec(base=tiny(), vary={BETA: (1.0,)})
    assert in_child(lambda: create_sweep(store, "old", spec)) == 0  # which closes its database
    sweep = get_sweep(store, "old")
    fix(disk)
    wishes: dict[str, Callable[[], object]] = {
        "train": lambda: jobs.start(store, "new", tiny()),
        "resume": lambda: jobs.resume(stopped),
        "tell": lambda: jobs.send(stopped, {"command": "stop"}),
        "delete": stopped.delete,
        "sweep": lambda: create_sweep(store, "new", spec),
        "resume the sweep": lambda: launch(sweep),
        "delete the sweep": sweep.delete,
    }
    for wish, ask in wishes.items():
        with pytest.raises(UserError, match=FIXED):
            print(wish)
            ask()
    assert stopped.status().state == "stopped" and sweep.state().state == "stopped"
    for name in PAGES:
        page = open_page(name, run="tiny")
        assert not page.exception
    page = open_page("gallery", run="tiny")
    page.checkbox(key="sure-tiny").check().run()
    page.button(key="delete-tiny").click().run()
    assert FIXED in page.error[0].value and not page.exception
    page.button(key="resume-tiny").click().run()
    assert FIXED in page.error[0].value and not page.exception


@pytest.mark.parametrize("press", ["pause", "stop", "save"])
def test_a_button_that_cannot_be_obeyed_says_so(disk: Path, finished: Run, press: str) -> None:
    shutil.copytree(finished.path, disk / "tiny")
    run = Store(disk).get("tiny")
    run.claim(os.getpid())
    run.set_status(Status(state="training", step=5, total_steps=10))
    fix(disk)
    page = open_page("train", run="tiny")
    page.button(key=f"{press}-training").click().run()
    assert FIXED in page.error[0].value and not page.exception
