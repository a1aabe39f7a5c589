"""A run on Ray itself: a place that is killed, one a second driver finds, one that is given up.

Needs the extra `cluster`, and a machine that has time for Ray's own processes: `python -m pytest
benchmarks/test_on_ray.py`, half a minute. tests/test_cluster.py has what needs no Ray.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from tests.engine import tiny
from tests.machines import no_waiting
from vae_core.progress import no_progress
from vae_core.runs import Run, Store, layout
from vae_core.runs.schemas import Placement
from vae_core.training.cluster.mirror import Mirror, place_name
from vae_core.training.cluster.over_ray import NAMESPACE, RayCluster
from vae_core.training.cluster.placed import placement_of, put_on_cluster, recall
from vae_core.training.control import ControlFile
from vae_core.training.executors import Share
from vae_core.training.worker import work

__all__ = ["no_waiting"]


@pytest.fixture
def cluster(
    monkeypatch: pytest.MonkeyPatch, no_waiting: None, tmp_path: Path
) -> Iterator[RayCluster]:
    """A cluster of this machine alone, with room for one run; its token is in no home of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 1}')
    yield RayCluster(None)
    ray.shutdown()


def test_a_run_outlives_its_place_and_its_driver(cluster: RayCluster, tmp_path: Path) -> None:
    assert cluster.room(1, 0) == 1 and cluster.room(2, 0) == 0 and cluster.room(0.5, 0) == 2
    assert (
        cluster.waits_for(Placement(id="0" * 32, cpus=2, gpus=1))
        == "no machine in it has 2 CPUs and 1 GPUs"
    )
    config = tiny(train={"epochs": 300, "checkpoint_every": 10})
    run = Store(tmp_path / "store").create("there", config)
    put_on_cluster(run, Share(cpus=1))
    name = place_name(run, run.parse(layout.PLACEMENT, Placement))
    said: list[str] = []

    with run.lock():
        mirror = Mirror(run, cluster, ControlFile(run, 0))

        def leave_once_saved(message: str, share: float | None) -> None:
            said.append(message)
            if run.has(layout.WEIGHTS):
                mirror.leave()

        mirror._progress = leave_once_saved
        assert mirror.follow().state == "training"
    saved = run.weights_step()
    assert saved is not None
    assert any("Waiting for a free place" in message for message in said)

    # The place goes on; another driver finds it, and it is killed under its hands.
    again = Run(run.path)
    with again.lock():
        mirror = Mirror(again, cluster, ControlFile(again, 0))
        killed: list[int | None] = []

        def kill_once(message: str, share: float | None) -> None:
            if not killed and "step" in message:
                killed.append(again.weights_step())
                ray.kill(ray.get_actor(name, namespace=NAMESPACE))

        mirror._progress = kill_once
        assert mirror.follow().state == "finished"
    assert killed
    assert run.status().state == "finished" and run.weights_step() == run.status().total_steps
    steps = [each["step"] for each in run.history()[0] if each["kind"] == "step"]
    assert steps == sorted(set(steps)) and steps[-1] == run.status().total_steps
    assert cluster.find(name) is None, "its place is given back"


def test_a_run_that_goes_on_here_is_ended_there(cluster: RayCluster, tmp_path: Path) -> None:
    """Its driver is gone while its place trains on; then somebody resumes it on this machine."""
    run = Store(tmp_path / "store").create("back", tiny(train={"epochs": 300}))
    put_on_cluster(run, Share(cpus=1))
    placement = placement_of(run)
    assert placement is not None
    name = place_name(run, placement)
    with run.lock():
        mirror = Mirror(run, cluster, ControlFile(run, 0))
        mirror._progress = lambda message, share: mirror.leave() if run.weights_step() else None
        assert mirror.follow().state == "training"
    saved, remote = run.weights_step(), cluster.find(name)
    assert saved and remote is not None, "it trains on with nobody beside it"

    again = Run(run.path)
    with again.lock():
        assert work(again, lambda total, first: [], no_progress).finished
    assert placement_of(again) is None and again.status().step == again.status().total_steps
    steps = [each["step"] for each in again.history()[0] if each["kind"] == "step"]
    assert steps == sorted(set(steps)) and saved in range(1, steps[-1])
    assert RayCluster(None).find(name) is None, "nothing of it is left on the cluster"
    assert recall(again, no_progress) == "", "it is of this machine from now on"
