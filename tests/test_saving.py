"""Saves by time, what they may cost, what a kill costs then; and the best beside the last."""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.kills import equal as same
from benchmarks.kills import outcome
from tests.commands import vae_core
from tests.engine import make_loop, tiny, trained
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.export import Source, export
from vae_core.loading import load_run
from vae_core.runs import BEST, STATE, WEIGHTS, Run, Store
from vae_core.training import jobs
from vae_core.training.checkpoint import MAX_SHARE, SaveSchedule, TimeBudget
from vae_core.training.control import Message
from vae_core.training.events import Checkpoint, EpochSaved, Validated
from vae_core.training.worker import work

ROOT = Path(__file__).parent.parent
SMALL = {"model": {"backbone": "mlp", "options": {"hidden": [16]}}}


def one_long_epoch(**train: Any) -> RunConfig:
    """285 steps."""
    quiet = {"epochs": 1, "batch_size": 1, "preview_every": 1000, "log_every": 1}
    return tiny(**SMALL, train=quiet | train)


def test_by_default_a_save_is_due_after_half_a_minute() -> None:
    assert tiny().train.save_every_s == 30.0
    saves = SaveSchedule(30.0, None)
    saves._ended -= 29.0
    assert not saves.due(7)
    saves._ended -= 1.0
    assert saves.due(7)


def test_saving_takes_its_share_of_the_time_and_no_more() -> None:
    """Held by whoever takes the save: then come a hundred times as long without one."""
    loop = make_loop(one_long_epoch(epochs=2, save_every_s=0.05))
    began, held = time.monotonic(), []
    for event in loop.run():
        if isinstance(event, Checkpoint):
            started = time.monotonic()
            time.sleep(0.004)
            held.append((started, time.monotonic()))
        elif loop.step < loop.total_steps:
            time.sleep(0.001)
    on_the_way = held[:-1]  # the last step is saved whatever that costs
    assert len(on_the_way) >= 2, "each costs 4 ms, and 570 steps take over half one"
    for (started, ended), (following, _) in itertools.pairwise(on_the_way):
        assert following - ended >= (ended - started) / MAX_SHARE
    cost = sum(ended - started for started, ended in on_the_way)
    assert cost <= 1.05 * MAX_SHARE * (held[-1][0] - began) + on_the_way[-1][1] - on_the_way[-1][0]


def test_work_that_cost_nothing_may_come_again_at_once() -> None:
    budget = TimeBudget()
    assert budget.allows()
    with budget.measure():
        time.sleep(0.02)
    assert not budget.allows()
    time.sleep(0.02 / MAX_SHARE / 2)
    assert not budget.allows()
    time.sleep(0.02 / MAX_SHARE)
    assert budget.allows()


@pytest.mark.parametrize("sooner", [True, False])
def test_what_a_thread_spends_on_the_work_counts(sooner: bool) -> None:
    """Whether it comes to its end before or after who waits for no more than a copy."""
    budget = TimeBudget()
    with budget.measure():
        if sooner:
            budget.took_beside(0.05)
    if not sooner:
        budget.took_beside(0.05)
    time.sleep(0.1)
    assert not budget.allows()
    with budget.measure():
        pass
    time.sleep(0.01)
    assert budget.allows(), "the next one is measured anew"


def test_short_epochs_are_not_all_saved_but_the_last_step_is() -> None:
    loop = make_loop(tiny(**SMALL, train={"epochs": 60, "batch_size": 256, "preview_every": 1000}))
    saved = []
    for event in loop.run():
        if isinstance(event, Checkpoint):
            time.sleep(0.02)
        if isinstance(event, EpochSaved):
            saved.append(event.epoch)
    assert saved[0] == 1 and saved[-1] == 60 and len(saved) < 60


def test_saves_by_time_change_nothing(tmp_path: Path) -> None:
    """Weights, optimisers, noise and records: as of a run that saves at its end alone."""
    runs = [
        trained(tmp_path, f"every-{every}", **one_long_epoch(save_every_s=every).model_dump())
        for every in (None, 0.01)
    ]
    counts = [sum(r["kind"] == "checkpoint" for r in run.history()[0]) for run in runs]
    assert counts[0] == 1 < counts[1]
    never, often = map(outcome, runs)
    assert same(never, often)


def until_saved(run: Run) -> None:
    end = time.monotonic() + 90
    while run.weights_step() is None:
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.01)


def test_a_kill_in_a_long_epoch_loses_no_more_than_since_the_last_save(tmp_path: Path) -> None:
    """Really killed, in the middle of an epoch; what follows is the undisturbed run's."""
    config = one_long_epoch(save_every_s=0.1, epochs=2)
    run = jobs.start(Store(tmp_path), "killed", config)
    until_saved(run)
    os.kill(json.loads(run.file("job.json").read_text())["pid"], signal.SIGKILL)
    while run.is_alive():
        time.sleep(0.01)
    step, of = run.weights_step(), 285
    assert step is not None and step % of, "in an epoch, not at its end"
    assert work(run).finished
    whole = Store(tmp_path).create("whole", config)
    assert work(whole).finished
    assert same(outcome(run), outcome(whole))


def test_a_worker_killed_at_random_moments_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """A sample of `python -m benchmarks.kills`, which kills 50."""
    command = [sys.executable, "-m", "benchmarks.kills", "--count", "3", "--epochs", "4", "--json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert {each["family"] for each in found["each"]} == {"vae", "vq-vae", "factor-vae"}
    assert found["opens"] == found["resumes"] == found["finished"] == found["identical"] == 3
    assert found["states"] == ["interrupted"]


# --- the end of an epoch -------------------------------------------------------------------------


def test_a_validation_that_a_kill_cut_off_is_made_when_the_run_is_resumed() -> None:
    """Saved before measuring, as that may take long; nothing of the epoch is left out."""
    loop = make_loop(tiny(**SMALL, train={"epochs": 2}))
    events = loop.run()
    while loop.step < loop.steps_per_epoch:
        next(events)
    state = copy.deepcopy(loop.checkpoint().state)
    assert state["validated"] == 0 < state["step"]
    again = make_loop(loop.config, state)
    told = list(again.run())
    assert [event.step for event in told if isinstance(event, Validated)] == [5, 10]
    whole = make_loop(loop.config)
    *_, _ = whole.run()
    assert same(again.checkpoint().state["modules"], whole.checkpoint().state["modules"])


# --- the best ------------------------------------------------------------------------------------

RESTLESS = {"epochs": 8, "learning_rate": 0.5, "seed": 1, "checkpoint_every": 1}


def totals(run: Run) -> dict[int, float]:
    return {r["step"]: r["total"] for r in run.history()[0] if r["kind"] == "validation"}


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose last validation is not its best: steps are large, and noise is left in them."""
    return trained(tmp_path_factory.mktemp("best"), **SMALL, train=RESTLESS)


def test_the_weights_of_the_best_validation_are_kept_beside_the_last(restless: Run) -> None:
    found = totals(restless)
    best = min(found, key=found.__getitem__)
    assert best != max(found), "this is to tell the two apart"
    assert restless.weights_step(BEST) == best and restless.weights_step() == max(found)
    state = torch.load(restless.file(STATE), weights_only=True)
    assert state["best"]["step"] == best
    assert state["best"]["total"] == pytest.approx(found[best], rel=1e-5)
    for event in make_loop(restless.config()).run():
        if isinstance(event, Checkpoint) and event.step == best:
            wanted = copy.deepcopy(event.state["modules"]["model"])
    assert same(load_file(restless.file(BEST)), {k: v.contiguous() for k, v in wanted.items()})


def test_the_best_are_measured_and_taken_home_when_asked_for(restless: Run) -> None:
    assert load_run(restless, which="best").step == restless.weights_step(BEST)
    assert load_run(restless).step == restless.weights_step()
    best, last = (
        export(Source(restless, which=which), "safetensors").files for which in ("best", "last")
    )
    assert best.keys() == last.keys() and best != last
    assert export(Source(restless, "validation", which="best"), "csv").files
    with pytest.raises(UserError, match="encodings of its last weights alone"):
        export(Source(restless, "cached", which="best"), "csv")
    command = ("evaluate", "--json", restless.id, "--store", str(restless.path.parent))
    told = [json.loads(vae_core(*command, "--weights", which).stdout) for which in ("best", "last")]
    assert [each["step"] for each in told] == [restless.weights_step(w) for w in (BEST, WEIGHTS)]
    assert told[0]["terms"]["total"] < told[1]["terms"]["total"]
    assert told[0]["terms"]["total"] == pytest.approx(min(totals(restless).values()), rel=0.05)


def test_a_run_without_best_weights_says_so(tmp_path: Path) -> None:
    """In a warm-up totals do not compare, as β is another at each of them."""
    warming_up = {"schedule": "linear", "schedule_steps": 10_000}
    often = {"epochs": 3, "checkpoint_every": 5}
    loop = make_loop(tiny(**SMALL, objective=warming_up, train=often))
    saved = [event for event in loop.run() if isinstance(event, Checkpoint)]
    assert [event.best is not None for event in saved] == [False, False, True], "the last β alone"
    run = trained(tmp_path, **SMALL, train={"epochs": 1})
    run.file(BEST).unlink()
    with pytest.raises(UserError, match=r"keeps no best weights.*Take the last ones"):
        load_run(run, which="best")
    with pytest.raises(UserError, match="no kind of weights 'worst'"):
        load_run(run, which="worst")


def test_a_value_set_by_hand_begins_the_search_anew() -> None:
    """Totals under β = 1 and β = 500 do not compare, though one is the lower."""
    loop = make_loop(tiny(**SMALL, train={"epochs": 3}))
    asked = iter([[]] * 6 + [[Message("set", "beta", 500.0)]])
    bests = []
    for event in loop.run(lambda: next(asked, [])):
        if isinstance(event, Validated):
            bests.append((loop.best.step, event.measurement.total))
    assert [step for step, _ in bests] == [5, 10, 15] and bests[1][1] > bests[0][1]


def test_a_save_that_never_counted_leaves_the_best_before_it(tmp_path: Path) -> None:
    """Cut off after each of its files; a reader never finds the best of a future that is gone."""
    run = trained(tmp_path, **SMALL, train=RESTLESS | {"epochs": 3})
    from vae_core.runs import NEXT_BEST, NEXT_STATE
    from vae_core.training.checkpoint import load_state

    kept = run.file(BEST).read_bytes()
    run.file(NEXT_BEST).write_bytes(b"half of one")
    state = load_state(run)
    assert state is not None and state["best"]["step"] == run.weights_step(BEST)
    assert run.file(BEST).read_bytes() == kept and not run.file(NEXT_BEST).exists()
    run.file(NEXT_STATE).write_bytes(run.file(STATE).read_bytes())
    run.file(BEST).rename(run.file(NEXT_BEST))  # the weights had come, its place had not
    state = load_state(run)
    assert state is not None and run.file(BEST).read_bytes() == kept
    run.file(BEST).write_bytes(b"damaged")
    state = load_state(run)
    assert state is not None and state["best"] is None and not run.file(BEST).exists()
    assert load_run(run).step == run.weights_step() == 15
    assert math.isfinite(run.summary()["recon"]) and run.file(WEIGHTS).exists()
