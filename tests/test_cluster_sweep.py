"""A sweep whose runs are trained on a cluster, of which a machine is lost and the driver leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import Act, Machines, ScriptedPlace, no_waiting
from tests.test_sweeps import spec
from vae_core.runs import Run, Status, Store, layout
from vae_core.runs.saves import write_save
from vae_core.sweeps import BETA
from vae_core.sweeps.scheduler import work as work_through
from vae_core.sweeps.sweep import create_sweep
from vae_core.training.executors import Share, open_executor

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, finished: Run) -> Machines:
    """Two of them; the second place that is begun is lost with its machine."""

    def ends(run: Run) -> None:
        for name in (layout.DATA_CARD, layout.PARTS, layout.SUMMARY):
            run.write_bytes(name, finished.read(name))
        state = finished.file(layout.STATE).read_bytes()
        write_save(run, finished.read(layout.WEIGHTS), state, None)
        run.set_status(Status(state="finished", step=10, total_steps=10))

    def dies(run: Run) -> None:
        for handle in list(found.places.values()):
            if handle.place.run is run:
                handle.end()

    def make(name: str, gpus: float) -> ScriptedPlace:
        acts: list[Act] = [lambda run: run.set_status(Status(state="training", total_steps=10))]
        place = ScriptedPlace(name, gpus)
        place.acts = [*acts, dies if len(found.begun) == 1 else ends]
        return place

    found = Machines(make)
    found.room = lambda cpus, gpus: 2  # type: ignore[attr-defined]
    monkeypatch.setattr("vae_core.training.cluster.over_ray.RayCluster", lambda address: found)
    return found


def test_a_sweep_goes_through_a_cluster(tmp_path: Path, machines: Machines) -> None:
    points = {BETA: (1.0, 3.0, 9.0, 27.0)}
    place = {"place": "ray", "share": Share(cpus=2, gpus=0.5)}
    made = create_sweep(Store(tmp_path / "store"), "s", spec(vary=points, workers=8, **place))
    most: list[int] = []
    ended = work_through(made, lambda state: most.append(len(state.in_state("running"))))
    assert [entry.state for entry in ended.entries] == ["finished"] * 4
    assert max(most) == 2, "no more are begun than there is room for"
    assert len(machines.begun) == 5 and not machines.places
    runs = list(Store(tmp_path / "store"))
    assert len(runs) == 4 and all(run.status().state == "finished" for run in runs)
    assert {run.config().train.threads for run in runs} == {2}
    assert {place._gpus for place in machines.begun} == {0.5}


def test_who_closes_a_place_leaves_its_runs_at_work(tmp_path: Path, machines: Machines) -> None:
    machines.full = 10**6
    store = Store(tmp_path / "store")
    executor = open_executor("ray", Share())
    run = executor.submit(store, "waits", spec().base)
    assert run.status().state == "starting" and run.is_alive()
    executor.close()
    assert Run(run.path).status().state == "interrupted"
    machines.full = 0
    again = open_executor("ray", Share())
    again.resume(Run(run.path))
    while (status := Run(run.path).status()).state != "finished":
        assert status.state in ("starting", "training"), status
    again.close()
