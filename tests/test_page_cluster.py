"""Train as Streamlit runs it, where the server knows a cluster and where it knows none."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.test_page_train import SMALL, _no_timing, buttons, open_page, settled
from vae_core.config import RunConfig
from vae_core.families import complete
from vae_core.runs import Run, Status, Store
from vae_core.training import jobs
from vae_core.training.cluster.placed import put_on_cluster
from vae_core.training.executors import Share

__all__ = ["_no_timing"]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latent_workbench.train.where.unavailable", lambda: "")


def test_a_run_goes_to_the_cluster_with_its_share(
    known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Share | None] = []

    def start(
        store: Store, name: str, config: RunConfig, processes: int = 1, share: Share | None = None
    ) -> Run:
        run = store.create(name, complete(config))
        run.claim(os.getpid())
        asked.append(share)
        return run

    monkeypatch.setattr(jobs, "start", start)
    app = open_page()
    app.segmented_control(key="train-on-where").set_value("Cluster").run()
    app.number_input(key="train-cpus").set_value(2)
    app.number_input(key="train-gpus").set_value(0.5)
    settled(app.run())
    assert any("on the cluster" in caption.value for caption in app.caption)
    app.button(key="start-training").click().run()
    assert asked == [Share(cpus=2, gpus=0.5)] and not app.exception


def test_a_share_that_no_machine_has_starts_nothing(known: None) -> None:
    app = open_page()
    app.segmented_control(key="train-on-where").set_value("Cluster").run()
    app.number_input(key="train-cpus").set_value(0)
    settled(app.run())
    assert app.button(key="start-training").disabled
    assert any("CPUs per run lies between 1 and 4096" in error.value for error in app.error)


@pytest.mark.parametrize("missing", ["ray", "address"])
def test_without_a_cluster_it_is_said_that_there_could_be_one(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    there: Any = None if missing == "ray" else object()
    monkeypatch.setattr("vae_core.training.cluster.placed.find_spec", lambda name: there)
    app = open_page()
    assert not app.segmented_control
    [said] = [each.value for each in app.caption if "trained on a cluster" in each.value]
    assert ("Ray is not installed" if missing == "ray" else "RAY_ADDRESS names none") in said


def test_a_run_of_a_cluster_that_is_away_can_go_on_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run = Store().create("there", complete(SMALL))
    put_on_cluster(run, Share())
    run.set_status(Status(state="interrupted", step=5, total_steps=50, message="The head is gone."))
    app = open_page(run)
    assert {"resume-training", "resume-here"} <= buttons(app)
    app.button(key="resume-training").click().run()
    assert any("is trained on a cluster" in error.value for error in app.error)

    resumed: list[str | None] = []
    monkeypatch.setattr(jobs, "_launch", lambda run, *more: resumed.append(None))
    app.button(key="resume-here").click().run()
    assert resumed == [None] and run.has("placement.json"), "its worker ends what goes on there"
