"""One run in several processes, started by torchrun or by ourselves: killed, stopped, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch.distributed as dist

from tests.engine import tiny
from vae_core.errors import UserError
from vae_core.families.footprint import require_memory_to_train
from vae_core.runs import DataCard, Run, Status, Store
from vae_core.training import jobs, pulse
from vae_core.training.device import choose_device, choose_threads, room_for
from vae_core.training.distributed import Distributed
from vae_core.training.launch import what_ended
from vae_core.training.pulse import BEAT_S, LOOK_S, Pulse
from vae_core.training.rank import LOST, SILENT, own_rank

ROOT = Path(__file__).resolve().parents[1]
OFTEN = {"checkpoint_every": 5, "preview_every": 1000, "log_every": 1, "threads": 1}
SETTINGS = (
    "data.image_size=16",
    "data.limit=300",
    "model.latent_dim=4",
    "model.options.channels=[8,16]",
    "train.batch_size=64",
    "train.device=cpu",
    "train.precision=fp32",
    "train.epochs=12",
    *(f"train.{name}={value}" for name, value in OFTEN.items()),
)


def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def ranks(launcher: int) -> dict[int, int]:
    """The process ids of the ranks that a launcher has started, by rank."""
    found = {}
    for child in psutil.Process(launcher).children(recursive=True):
        try:
            found[int(child.environ()["RANK"])] = child.pid
        except (psutil.Error, KeyError):
            continue
    return found


def gone(pids: list[int]) -> bool:
    """Whether none of them runs any more; one that nobody has waited for does not."""
    left = [psutil.Process(pid).status() for pid in pids if psutil.pid_exists(pid)]
    return set(left) <= {psutil.STATUS_ZOMBIE}


def recorded_steps(run: Run) -> list[int]:
    return [record["step"] for record in run.history()[0] if record["kind"] == "step"]


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Launchers, which are killed with all that they have started."""
    launchers: list[int] = []
    yield launchers
    for launcher in launchers:
        try:
            family = [psutil.Process(launcher), *psutil.Process(launcher).children(recursive=True)]
        except psutil.Error:
            continue
        for process in family:
            process.kill()


def test_torchrun_begins_anew_from_the_last_save(tmp_path: Path, started: list[int]) -> None:
    """As it is typed; the options of torchrun end with `-m --`."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "-m", "--", "vae_core", "train"]
    settings = [word for each in SETTINGS for word in ("--set", each)]
    command = [*torchrun, *options, "--run", "typed", "--dataset", "digits", *settings]
    environment = os.environ | {"VAE_STORE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("wb") as log:
        agent = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    started.append(agent.pid)
    run = Run(tmp_path / "typed")
    until(lambda: run.path.is_dir() and len(recorded_steps(run)) > 7)
    os.kill(ranks(agent.pid)[1], signal.SIGKILL)
    assert agent.wait(timeout=300) == 0, (tmp_path / "log").read_text()[-3000:]
    assert run.status().state == "finished"
    assert recorded_steps(run) == list(range(1, run.status().total_steps + 1)), "each step once"
    assert [each.id for each in Store(tmp_path)] == ["typed"], "no second run"
    assert run.environment().processes == 2


def test_a_lost_rank_is_begun_anew_and_a_stop_reaches_all(
    tmp_path: Path, started: list[int]
) -> None:
    config = tiny(train=OFTEN | {"epochs": 500})
    run = jobs.start(Store(tmp_path), "long", config, processes=2)
    agent = json.loads(run.file("job.json").read_text())["pid"]
    started.append(agent)
    until(lambda: run.status().step > 7)
    first = ranks(agent)
    os.kill(first[1], signal.SIGKILL)
    until(lambda: "begin anew" in run.status().message)
    assert "Rank 1 of 2 was killed" in run.status().message
    assert run.is_alive(), "nobody may take it meanwhile"
    until(lambda: run.status().state == "training")
    jobs.send(run, {"command": "set", "name": "beta", "value": 2.5})
    until(lambda: any(record["kind"] == "set" for record in run.history()[0]))
    steps = recorded_steps(run)
    assert steps == list(range(1, len(steps) + 1))
    everybody = [agent, *ranks(agent).values()]
    asked = time.monotonic()
    jobs.send(run, {"command": "stop"})
    until(lambda: gone(everybody))
    assert run.status().state == "stopped" and time.monotonic() - asked < 30
    assert gone(list(first.values())) and not run.is_alive()
    assert jobs.processes_of(run) == min(2, room_for("cpu"))


def test_who_was_lost_is_told() -> None:
    said = Status(message="The network is gone.")
    assert what_ended({0: LOST, 1: -9}, 2, said).startswith("Rank 1 of 2 was killed")
    assert what_ended({3: -6}, 4, said) == "Rank 3 of 4 was ended by SIGABRT."
    assert "Rank 1 of 2 failed" in what_ended({1: 1}, 2, said)
    assert what_ended({0: SILENT, 1: -9}, 2, said) == "The network is gone."
    assert what_ended({0: -9, 1: SILENT}, 2, said) == "Rank 0 of 2 gave no sign of life."
    assert what_ended({0: LOST, 1: LOST}, 2, said) == "The network is gone."


def test_the_rank_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert own_rank() is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    for wrong in ("2", "-1", "x", ""):
        monkeypatch.setenv("RANK", wrong)
        with pytest.raises(UserError, match="torchrun"):
            own_rank()
    monkeypatch.setenv("RANK", "1")
    assert own_rank() == 1


def test_cores_and_memory_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.training.device.room_for", lambda kind: 8)
    shares = [choose_threads(None, Distributed(0, n, 0, n)) for n in (1, 3, 8, 20)]
    assert shares == [8, 2, 1, 1]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(UserError, match="9 processes were started here and there are 8 GPUs"):
        choose_device("cuda", Distributed(0, 9, 0, 9))
    config, card = (
        tiny(),
        DataCard(dataset="digits", image_shape=(1, 16, 16), n_train=300, n_validation=15),
    )
    monkeypatch.setenv("VAE_MEMORY_GB", "0.0015")
    require_memory_to_train(config, card)
    with pytest.raises(UserError, match="in each of 8 processes"):
        require_memory_to_train(config, card, 8, 8)


class Two(Distributed):
    """The first of two processes, of which the other has said where it is."""

    def gather(self, value: Any) -> list[Any]:
        return [value, "elsewhere"]


def test_a_silent_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    monkeypatch.setattr(pulse, "meeting_store", lambda patience: store)
    monkeypatch.setenv("VAE_SILENT_S", str(6 * BEAT_S))
    said: list[str] = []
    with Pulse(Two(0, 2), said.append) as watched:
        other = watched._key(1)
        for beat in range(10):
            store.set(other, str(beat))
            time.sleep(BEAT_S)
        assert said == []
        assert watched.who_is_missing() == "Rank 1 of 2 on elsewhere is gone."
        until(lambda: bool(said), 20 * BEAT_S + LOOK_S)
        store.set(other, "parted")
        assert watched.who_is_missing() == ""
    assert "Rank 1 of 2 on elsewhere has given no sign of life" in said[0]
