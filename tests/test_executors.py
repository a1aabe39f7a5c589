"""Places to train in: their addresses, and a sweep in one that is full and at times unreachable."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import tiny
from tests.test_jobs import until
from tests.test_sweeps import spec
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.registry import Entry
from vae_core.runs import Folder, Run, Store
from vae_core.sweeps import BETA, SweepState
from vae_core.sweeps.scheduler import Scheduler
from vae_core.sweeps.scheduler import work as work_through
from vae_core.sweeps.sweep import create_sweep, get_sweep
from vae_core.training import jobs, worker
from vae_core.training.cluster.placed import by_name
from vae_core.training.executors import Share, Unreachable, executors, open_executor, parsed_share
from vae_core.training.watchdog import OWNER_POLL_S, stop_after


class Shed:
    """A place with room for one run, which is trained at once; it answers every other time."""

    def __init__(self, address: str, share: Share) -> None:
        self.address, self.share = address, share
        self.asked, self.closed = 0, False

    def capacity(self) -> int | None:
        return 1

    def threads(self, together: int) -> int | None:
        return int(self.share.cpus or together)

    def submit(
        self, store: Store, name: str, config: RunConfig, owner: Folder | None = None
    ) -> Run:
        self._answer()
        run = jobs.create(store, name, config)
        worker.work(run)
        return run

    def resume(self, run: Run, owner: Folder | None = None) -> None:
        self._answer()
        worker.work(run)

    def close(self) -> None:
        self.closed = True

    def _answer(self) -> None:
        self.asked += 1
        if self.asked % 2:
            raise Unreachable("The shed does not answer.")


@pytest.fixture
def sheds() -> Iterator[list[Shed]]:
    """The places that were opened as `shed` or `shed://…`."""
    opened: list[Shed] = []

    def build(address: str, share: Share) -> Shed:
        opened.append(Shed(address, share))
        return opened[-1]

    executors.add(Entry(name="shed", label="a shed", blurb="For tests.", build=build))
    yield opened
    del executors._entries["shed"]


def test_a_sweep_asks_its_place_for_all_it_needs(tmp_path: Path, sheds: list[Shed]) -> None:
    place = {"place": "shed", "share": Share(cpus=3, gpus=0.5)}
    made = create_sweep(Store(tmp_path), "s", spec(vary={BETA: (1.0, 3.0, 9.0)}, **place))
    seen: list[SweepState] = []
    ended = work_through(made, seen.append)
    assert [entry.state for entry in ended.entries] == ["finished"] * 3 and ended.message == ""
    assert any("does not answer" in state.message for state in seen)
    assert not any(state.state == "paused" for state in seen), "nobody has to mend anything"
    (shed,) = sheds
    assert (shed.address, shed.share.gpus, shed.closed) == ("shed", 0.5, True)
    assert {run.config().train.threads for run in Store(tmp_path)} == {3}


def test_a_place_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no place to train in 'rey'; choose one of here"):
        open_executor("rey://host:10001")
    with pytest.raises(UserError, match="no place to train in 'moon'"):
        create_sweep(Store(tmp_path), "s", spec(place="moon"))
    with pytest.raises(UserError, match="cpus"):
        parsed_share(0, 0.0)
    assert list(Store(tmp_path)) == [] and not list(tmp_path.glob(".sweeps/*"))


def test_a_sweep_that_was_sent_makes_nobody_connect(
    tmp_path: Path, sheds: list[Shed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder names a kind of place; its address is told by whoever starts it."""
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert by_name("here") == "here" and by_name("ray://head:10001") == "ray"
    assert os.environ["RAY_ADDRESS"] == "ray://head:10001", "and those that it starts have it"
    with pytest.raises(UserError, match="no address"):
        by_name("ray://a b")
    made = create_sweep(Store(tmp_path), "s", spec(vary={BETA: (1.0,)}, place="shed"))
    file = made.path / "sweep.json"
    file.write_text(file.read_text().replace('"shed"', '"shed://of-a-stranger:1"'))
    with pytest.raises(UserError, match="place"):
        work_through(get_sweep(Store(tmp_path), "s"))
    assert sheds == []


def test_a_run_stops_once_nobody_works_on_its_owner(tmp_path: Path) -> None:
    """Somebody elsewhere does its point anew; without an owner it goes on, whoever has died."""
    run, owner = Store(tmp_path).create("a", tiny()), Folder(tmp_path / "owner")
    owner.path.mkdir()
    stop_after(owner, run)
    time.sleep(2 * OWNER_POLL_S)
    assert not run.has("control.jsonl"), "a folder that says nothing is no sign"
    with owner.lock():
        time.sleep(2 * OWNER_POLL_S)
        assert not run.has("control.jsonl")
    until(lambda: run.has("control.jsonl"))
    assert '"stop"' in run.text("control.jsonl")


@pytest.mark.parametrize("shared", [False, True])
def test_only_runs_of_shared_sweeps_have_an_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(jobs, "spawn", lambda run, command, store: commands.append(command))
    url = {"storage": f"journal:///{tmp_path}/shared.log"} if shared else {}
    made = create_sweep(Store(tmp_path), "s", spec(**url))
    scheduler = Scheduler(made)
    scheduler._ask_the_study()
    assert scheduler._start_next(scheduler.state.in_state("waiting")[0])
    assert commands[0][4:] == (["--owner", str(made.path)] if shared else [])
