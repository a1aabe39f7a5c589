"""Real processes: started, told, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.engine import tiny
from vae_core.errors import UserError
from vae_core.runs import Run, Store
from vae_core.training import jobs
from vae_core.training.control import parse
from vae_core.training.worker import work

LONG = {"epochs": 500, "checkpoint_every": 5, "preview_every": 1000}


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def state(run: Run) -> str:
    return run.status().state


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return jobs.start(Store(tmp_path), "long", tiny(train=LONG))


@pytest.fixture(autouse=True)
def _end_what_was_started(tmp_path: Path) -> object:
    yield
    for left in Store(tmp_path):
        job = json.loads(left.file("job.json").read_text())
        if left.is_alive() and job["pid"] != os.getpid():
            os.kill(job["pid"], signal.SIGKILL)


def test_pause_resume_set_stop_and_resume_again(run: Run, tmp_path: Path) -> None:
    assert state(run) == "starting"
    until(lambda: run.status().step > 5)
    jobs.send(run, {"command": "pause"})
    until(lambda: state(run) == "paused")
    step = run.status().step
    time.sleep(0.3)
    assert run.status().step == step
    jobs.resume(run)
    until(lambda: run.status().step > step)
    jobs.send(run, {"command": "set", "name": "beta", "value": 2.5})
    until(lambda: any(r["kind"] == "set" for r in run.history()[0]))
    jobs.send(run, {"command": "stop"})
    until(lambda: state(run) == "stopped")
    stopped_at = run.status().step
    assert run.summary()["step"] == stopped_at
    assert run.file("encodings.safetensors").exists() and run.file("thumbnail.png").exists()
    until(lambda: not run.is_alive())
    jobs.resume(run)
    until(lambda: run.status().step > stopped_at)
    records, _ = run.history()
    assert [r for r in records if r["kind"] == "step"][-1]["beta"] == 2.5
    steps = [r["step"] for r in records if r["kind"] == "step"]
    assert steps == sorted(steps)
    jobs.send(run, {"command": "stop"})
    until(lambda: not run.is_alive())


def test_a_killed_worker_shows_as_interrupted_and_can_go_on(run: Run) -> None:
    until(lambda: run.file("training_state.pt").exists() and run.status().step > 12)
    os.kill(json.loads(run.file("job.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: state(run) == "interrupted", seconds=5)
    step = run.status().step
    jobs.resume(run)
    until(lambda: state(run) == "training" and run.status().step > step)
    steps = [r["step"] for r in run.history()[0] if r["kind"] == "step"]
    assert len(steps) == len(set(steps)), "steps after the last save are recorded once"
    jobs.send(run, {"command": "stop"})
    until(lambda: not run.is_alive())


def test_the_worker_is_a_nice_process_of_its_own_group(run: Run) -> None:
    until(lambda: run.status().step > 0)
    process = psutil.Process(json.loads(run.file("job.json").read_text())["pid"])
    assert process.nice() >= 10
    session = Path(f"/proc/{process.pid}/autogroup")  # Linux heeds niceness within a session alone
    assert not session.exists() or session.read_text().endswith("nice 10\n")
    assert os.getpgid(process.pid) != os.getpgid(0)


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    run = jobs.start(
        Store(tmp_path), "lost", tiny(data={"dataset": "folder", "data_dir": "nowhere"})
    )
    until(lambda: state(run) == "failed")
    assert "nowhere" in run.status().message
    until(lambda: "nowhere" in run.log_tail())


def test_a_taken_name_and_a_wrong_setting_start_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="already a run called 'long'"):
        jobs.start(Store(tmp_path), "long", tiny())
    with pytest.raises(UserError, match="no family"):
        jobs.start(Store(tmp_path), "other", tiny().model_copy(update={"family": "x"}))
    assert [r.id for r in Store(tmp_path)] == ["long"]


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = jobs.start(Store(tmp_path), "short", tiny(train={"epochs": 1}))
    until(lambda: state(run) == "finished")
    until(lambda: not run.is_alive())
    with pytest.raises(UserError, match="is finished"):
        jobs.resume(run)


def test_interrupt_saves_and_says_how_to_resume(tmp_path: Path) -> None:
    Store(tmp_path).create("here", tiny(train=LONG))
    command = [sys.executable, "-m", "vae_core", "resume", "here", "--store", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    run = Store(tmp_path).get("here")
    until(lambda: run.status().step > 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "python -m vae_core resume here" in err
    assert state(run) == "stopped" and run.file("training_state.pt").exists()


def test_two_workers_never_share_a_run(tmp_path: Path) -> None:
    run = Store(tmp_path).create("one", tiny())
    with run.lock():
        before = {path: path.read_bytes() for path in run.path.glob("*.json")}
        with pytest.raises(UserError, match="already being trained"):
            work(Run(run.path))
        assert {path: path.read_bytes() for path in run.path.glob("*.json")} == before
    assert work(run).finished


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"command":"rm"}',
        b'{"command":"set","value":"x"}',
        b"\xff",
        b'{"command":"set","name":"beta","value":NaN}',
    ],
)
def test_control_lines_that_are_not_understood_are_passed_over(line: bytes) -> None:
    assert parse(line) is None
