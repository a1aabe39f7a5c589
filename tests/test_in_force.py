"""β in force: schedule, value set by hand, stop and resume; one truth for whoever shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.engine import make_loop, tiny
from vae_core.cli.app import app
from vae_core.families import families
from vae_core.in_force import beta_in_force, controls_in_force, weights_in_force
from vae_core.run_data import data_card
from vae_core.runs import Run, Store
from vae_core.sweeps.results import result_of
from vae_core.training.checkpoint import load_state
from vae_core.training.control import FILE as CONTROL
from vae_core.training.control import Message
from vae_core.training.events import Stepped
from vae_core.training.recorders import RunRecorder
from vae_core.training.worker import work

WARMING = {"beta": 4.0, "schedule": "linear", "schedule_steps": 20}
"""Twice the ten steps of a tiny run: it ends in the middle."""


def asked(run: Run, wishes: dict[int, list[dict[str, Any]]]) -> None:
    """Train a run; before the step `n` (counted from 0) it finds the messages `wishes[n]`."""

    class Listener:
        def __call__(self, event: Any) -> None:
            for message in wishes.pop(event.step, []) if type(event).__name__ == "Stepped" else ():
                run.append(CONTROL, message)

    run.file(CONTROL).unlink(missing_ok=True)  # what was said before has been heard
    work(run, lambda total, first: [Listener()])


def run_of(tmp_path: Path, **changes: Any) -> Run:
    changes.setdefault("train", {})
    changes["train"] = {"log_every": 1} | changes["train"]
    return Store(tmp_path).create("one", tiny(**changes))


def recorded(run: Run, kind: str = "step") -> list[dict[str, Any]]:
    return [record for record in run.history()[0] if record["kind"] == kind]


def forgotten(run: Run) -> Run:
    """The same run as a worker leaves it that was killed before it could measure."""
    run.file("summary.json").unlink()
    return run


def as_told(run: Run, beta: float) -> None:
    """Every place that has β says the same, with a summary and without one."""
    last = recorded(run)[-1]
    assert last["beta"] == pytest.approx(beta, rel=1e-5)
    summary = run.summary()
    assert summary["beta"] == pytest.approx(beta) == summary["term_weights"]["kl"]
    result = result_of(run)
    assert result is not None and result.beta == pytest.approx(beta)
    for known in (run, forgotten(run)):
        assert beta_in_force(known) == pytest.approx(beta)
        weights = weights_in_force(known)
        assert weights == pytest.approx({"recon": 1.0, "kl": beta})


def test_a_warm_up_that_is_stopped_half_way(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective=WARMING)
    asked(run, {5: [{"command": "stop"}]})
    assert run.summary()["step"] == 5
    as_told(run, 4.0 * 4 / 20)  # the fifth step was trained with the schedule's value at step 4


def test_a_warm_up_longer_than_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective=WARMING)
    work(run)
    as_told(run, 4.0 * 9 / 20)


def test_a_cycle_that_ends_with_the_run_is_not_its_next_beginning(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective={"beta": 3.0, "schedule": "cyclical", "schedule_steps": 5})
    work(run)
    as_told(run, 3.0)  # not the 0 with which another cycle would begin


def test_a_value_set_by_hand(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective=WARMING)
    asked(run, {3: [{"command": "set", "name": "beta", "value": 0.25}]})
    as_told(run, 0.25)


def test_a_value_that_no_step_was_trained_with_is_not_in_force(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective={"beta": 2.0})
    asked(run, {4: [{"command": "set", "name": "beta", "value": 9.0}, {"command": "stop"}]})
    assert recorded(run, "set")[-1]["value"] == 9.0
    as_told(run, 2.0)


def test_it_is_told_of_the_saved_weights_not_of_the_end_of_the_history(tmp_path: Path) -> None:
    """A run killed after its last save has weights that are older than its newest records."""
    run = run_of(tmp_path, objective=WARMING)
    loop = make_loop(run.config())
    run.write_json("data.json", data_card(loop.dataset))
    recorder = RunRecorder(run, loop.total_steps, 0)
    said = iter([[Message("set", "beta", 1.5)]])
    control = lambda: next(said, []) if loop.step == 7 else []  # noqa: E731
    for event in loop.run(control):
        recorder(event)
        if event.step == 9:
            break
    assert beta_in_force(run) == pytest.approx(4.0 * 4 / 20)  # saved after the epoch, at step 5
    assert beta_in_force(run, 8) == 1.5 and beta_in_force(run, 7) == pytest.approx(4.0 * 6 / 20)
    assert weights_in_force(run)["kl"] == pytest.approx(4.0 * 4 / 20)


def test_a_summary_of_older_weights_is_not_believed(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective=WARMING)
    asked(run, {3: [{"command": "stop"}]})
    old = run.file("summary.json").read_bytes()
    asked(run, {})
    run.write_bytes("summary.json", old)  # as it is until a resumed run has been measured
    assert run.summary()["beta"] == pytest.approx(4.0 * 2 / 20)
    assert beta_in_force(run) == pytest.approx(4.0 * 9 / 20)
    assert weights_in_force(run)["kl"] == pytest.approx(4.0 * 9 / 20)


@pytest.mark.parametrize("before", ["pause", "stop"])
def test_resume_keeps_what_was_set(tmp_path: Path, before: str) -> None:
    run = run_of(tmp_path, objective=WARMING)
    wishes = [{"command": "set", "name": "beta", "value": 0.5}]
    stop = [{"command": before}] + [{"command": "stop"}] * (before == "pause")
    asked(run, {2: wishes, 4: stop})
    asked(run, {})
    as_told(run, 0.5)


def test_resumed_and_stopped_before_a_step(tmp_path: Path) -> None:
    """What was set in the moment of the first stop still has trained nothing."""
    run = run_of(tmp_path, objective={"beta": 2.0})
    asked(run, {4: [{"command": "set", "name": "beta", "value": 9.0}, {"command": "stop"}]})
    loop = make_loop(run.config(), load_state(run))
    assert [event.step for event in loop.run(lambda: [Message("stop")])] == [4, 4]
    assert loop.last_context(torch.Generator()).overrides == {}
    again = make_loop(run.config(), load_state(run))
    assert next(e for e in again.run() if isinstance(e, Stepped)).controls == {"beta": 9.0}


def test_a_value_set_after_the_save_is_forgotten_with_the_steps_after_it(tmp_path: Path) -> None:
    """Saved, then β set in the same step, then killed: the resume goes by the save, and says so."""
    run = run_of(tmp_path, objective={"beta": 2.0})
    asked(run, {4: [{"command": "stop"}]})
    late = {"step": 4, "epoch": 1, "time": 0.1, "name": "beta", "value": 7.0}
    run.append("history.jsonl", {"kind": "set"} | late)
    asked(run, {})
    assert recorded(run, "set") == []
    as_told(run, 2.0)


def test_a_capacity_on_its_way(tmp_path: Path) -> None:
    objective = {"gamma": 10.0, "capacity": 30.0, "capacity_steps": 100}
    run = run_of(tmp_path, family="capacity", objective=objective)
    work(run)
    for known in (run, forgotten(run)):
        assert controls_in_force(known) == pytest.approx({"capacity": 30.0 * 9 / 100})
        assert beta_in_force(known) is None
        assert weights_in_force(known) == {"recon": 1.0, "kl": 0.0, "gap": 10.0, "capacity": 0.0}


def test_weights_that_are_not_called_beta(tmp_path: Path) -> None:
    run = run_of(tmp_path, family="factor-vae", objective={"critic_units": 8})
    asked(run, {3: [{"command": "set", "name": "gamma", "value": 2.5}]})
    for known in (run, forgotten(run)):
        assert weights_in_force(known)["tc"] == 2.5 and weights_in_force(known)["kl"] == 1.0


def test_the_parts_of_a_kl_have_weights_of_their_own(tmp_path: Path) -> None:
    run = run_of(tmp_path, family="beta-tcvae", objective={"beta": 6.0, "alpha": 0.5})
    asked(run, {3: [{"command": "set", "name": "beta", "value": 2.5}]})
    for known in (run, forgotten(run)):
        assert beta_in_force(known) == 2.5
        expected = {"recon": 1.0, "mi": 0.5, "tc": 2.5, "dwkl": 1.0, "kl": 0.0}
        assert weights_in_force(known) == expected


@pytest.mark.parametrize("family", [family.name for family in families])
def test_every_family_says_the_same_with_and_without_a_summary(tmp_path: Path, family: str) -> None:
    objective = families[family].options.model_fields
    changes: dict[str, Any] = {"family": family, "train": {"epochs": 1}}
    if "schedule" in objective:
        changes["objective"] = WARMING
    run = run_of(tmp_path, **changes)
    work(run)
    told = run.summary()
    assert controls_in_force(run) == told["controls"]
    assert controls_in_force(forgotten(run)) == pytest.approx(told["controls"])
    found = weights_in_force(run)  # what is watched in a batch alone is recorded, not measured
    measured = {name: found[name] for name in told["term_weights"]}
    assert measured == pytest.approx(told["term_weights"], rel=1e-5)
    assert all(found[name] == 0 for name in found.keys() - measured.keys())


def test_evaluate_weighs_as_the_weights_were_trained(tmp_path: Path) -> None:
    run = run_of(tmp_path, objective=WARMING)
    asked(run, {3: [{"command": "set", "name": "beta", "value": 0.25}]})
    told = run.summary()
    command = ["evaluate", run.id, "--store", str(tmp_path), "--json"]
    found = json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)
    assert found["beta"] == 0.25 and found["term_weights"] == told["term_weights"]
    assert found["bits_per_dim"] == pytest.approx(told["bits_per_dim"], rel=1e-3)
    assert found["nats_per_pixel"] == pytest.approx(-found["elbo"] / 256)
    listed = CliRunner().invoke(app, ["list", "--store", str(tmp_path), "--json"]).stdout
    assert json.loads(listed)[0]["beta"] == 0.25
