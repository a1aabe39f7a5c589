"""A save is one step: whatever is killed or damaged, weights and state belong together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine import make_loop, tiny, trained
from tests.killed import SETTINGS, equal
from vae_core.errors import UserError
from vae_core.loading import load_run
from vae_core.runs import NEXT_STATE, OBJECTIVE, STATE, WEIGHTS, Run, Status, Store
from vae_core.runs.process import writer_name
from vae_core.training import jobs
from vae_core.training.checkpoint import load_state, save_checkpoint
from vae_core.training.events import Checkpoint
from vae_core.training.worker import work

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("step", [4, 8])
def test_killed_anywhere_in_a_save_it_opens_and_goes_on_to_the_same_end(
    step: int, tmp_path: Path
) -> None:
    """Really killed, before each operation on files, in a save on the way and in the last one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed", str(tmp_path), str(step)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(found) >= 8
    assert {each["opened"] for each in found} == {step - 2, step}, "the old one or the new one"
    for each in found:
        assert each["state"] == "interrupted" and each["resumed"] == 0, each
        assert (each["ended"], each["weights"], each["summary"]) == ("finished", 8, 8), each
        assert each["equal"] and each["left"] == [], each


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with a critic; copy it before changing it."""
    return trained(tmp_path_factory.mktemp("whole"), "whole", **SETTINGS)


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    shutil.copytree(whole.path, tmp_path / "copy")
    copied = Store(tmp_path).get("copy")
    copied.file("job.json").unlink()
    return copied


def checkpoint_at(step: int) -> Checkpoint:
    for event in make_loop(tiny(**SETTINGS)).run():
        if isinstance(event, Checkpoint) and event.step == step:
            return event
    raise AssertionError("no such save")


def rewrite(run: Run, step: int, name: str = WEIGHTS) -> None:
    """The weights of an earlier step, as a killed worker of the older version left them."""
    weights = {k: v.contiguous() for k, v in checkpoint_at(step).state["modules"]["model"].items()}
    save_file(weights, run.file(name), {"step": str(step)})


def test_a_claim_to_be_finished_is_not_believed_against_the_weights(run: Run, whole: Run) -> None:
    """State of the last step, weights of an earlier one: what d45c227 left and called finished."""
    rewrite(run, 4)
    assert json.loads(run.file("status.json").read_text())["state"] == "finished"
    status = run.status()
    assert status.state == "interrupted"
    assert "weights are of step 4" in status.message and "of 8" in status.message
    assert load_run(run).step == 4
    assert work(run).finished
    assert run.status().state == "finished" and equal(run, whole)
    assert load_run(run).step == run.summary()["step"] == 8


@pytest.mark.parametrize("damage", [b"", b"no weights", None])
def test_lost_weights_are_written_again_from_the_state(
    damage: bytes | None, run: Run, whole: Run
) -> None:
    run.file(WEIGHTS).unlink()
    if damage is not None:
        run.file(WEIGHTS).write_bytes(damage)
    assert run.status().state == "interrupted"
    assert work(run).finished
    assert run.status().state == "finished" and equal(run, whole)


def test_what_comes_after_the_last_save_is_made_up_for_without_training(run: Run) -> None:
    """Killed between the last save and its measurements: neither refused nor trained."""
    before = run.file(WEIGHTS).read_bytes()
    run.write_json("summary.json", run.summary() | {"step": 6})
    run.file("encodings.safetensors").unlink()
    assert run.status().state == "interrupted"
    steps = [r for r in run.history()[0] if r["kind"] == "step"]
    assert work(run).finished
    assert run.summary()["step"] == 8 and run.file("encodings.safetensors").exists()
    assert [r for r in run.history()[0] if r["kind"] == "step"] == steps
    assert run.file(WEIGHTS).read_bytes() == before
    run.file("job.json").unlink()  # this process is still alive
    with pytest.raises(UserError, match="is finished"):
        jobs.resume(run)


def test_a_finished_run_without_a_training_state_stays_finished(run: Run) -> None:
    run.file(STATE).unlink()
    assert run.status().state == "finished"


def test_weights_without_a_state_are_not_trained_over(run: Run) -> None:
    run.file(STATE).unlink()
    run.set_status(Status(state="stopped", step=8, total_steps=8))
    before = run.file(WEIGHTS).read_bytes()
    with pytest.raises(UserError, match=r"weights of step 8 but no training_state\.pt"):
        work(run)
    assert run.file(WEIGHTS).read_bytes() == before


def test_a_state_whose_weights_never_came_is_dropped_and_one_whose_did_takes_its_place(
    run: Run,
) -> None:
    shutil.copy(run.file(STATE), run.file(NEXT_STATE))
    rewrite(run, 6)
    torch.save(dict(checkpoint_at(6).state), run.file(STATE))
    found = load_state(run)
    assert found is not None and found["step"] == 6
    assert not run.file(NEXT_STATE).exists()

    torch.save(dict(checkpoint_at(6).state), run.file(NEXT_STATE))
    run.file(STATE).unlink()
    assert run.has_state()
    found = load_state(run)
    assert found is not None and found["step"] == 6
    assert run.file(STATE).exists() and not run.file(NEXT_STATE).exists()


def test_a_full_disk_leaves_the_save_before(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run.file(WEIGHTS).read_bytes(), run.file(STATE).read_bytes()
    saved = checkpoint_at(4)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(UserError, match="could not be written"):
            save_checkpoint(run, saved)
    assert before == (run.file(WEIGHTS).read_bytes(), run.file(STATE).read_bytes())
    assert run.status().state == "finished"


# --- leftovers -----------------------------------------------------------------------------------


def test_leftovers_of_the_dead_go_and_what_is_written_now_stays(run: Run) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    living, place = writer_name(os.getppid()), writer_name(os.getppid()).partition("-")[0]
    gone = [".writing-ab3_x9zz", f".writing-{place}-{dead.pid}-1-x", f"previews/.writing-{place}-1"]
    reused = f".writing-{place}-{os.getppid()}-1-x"  # that process began at another time
    stays = {f".writing-{living}-abcd", ".writing-00000000-1-1-of-another-host"}
    for name in [*gone, reused, *stays]:
        run.file(name).write_bytes(b"half")
        os.utime(run.file(name), (time.time() - 36_000,) * 2)  # no clock tells who lives
    run.clear_leftovers()
    assert {p.name for p in run.path.rglob(".writing-*")} == stays
    assert run.file(WEIGHTS).exists()


# --- states of another kind ----------------------------------------------------------------------


def state_of(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(run.file(STATE), weights_only=True)
    return found


def without(part: str) -> Any:
    def change(state: dict[str, Any]) -> dict[str, Any]:
        state.pop(part)
        return state

    return change


def another_shape(state: dict[str, Any]) -> dict[str, Any]:
    weights = state["modules"]["model"]
    name = next(iter(weights))
    weights[name] = weights[name][:1]
    return state


def another_moment(state: dict[str, Any]) -> dict[str, Any]:
    """Of one value, which copying would stretch over the whole weight."""
    first = state["optimizers"]["model"]["state"][0]
    first["exp_avg"] = first["exp_avg"].flatten()[:1]
    return state


FOREIGN = {
    "no step": without("step"),
    "no modules": without("modules"),
    "no optimisers": without("optimizers"),
    "no noise": without("noise"),
    "no random state": without("torch"),
    "no overrides": without("overrides"),
    "another shape": another_shape,
    "another moment": another_moment,
    "a list": lambda state: [1, 2],
    "a number": lambda state: 3,
    "text for noise": lambda state: state | {"noise": "x"},
    "no tensors": lambda state: state | {"modules": {"model": 1, "objective": 2}},
    "a step beyond the end": lambda state: state | {"step": 9},
    "a step of text": lambda state: state | {"step": "eight"},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_state_that_does_not_fit_is_one_sentence(kind: str, run: Run) -> None:
    torch.save(FOREIGN[kind](state_of(run)), run.file(STATE))
    run.set_status(Status(state="stopped", step=8, total_steps=8))
    before = run.file(WEIGHTS).read_bytes()
    with pytest.raises(UserError, match="cannot be resumed exactly") as error:
        work(run)
    assert "\n" not in str(error.value)
    assert run.status().state == "failed" and run.file(WEIGHTS).read_bytes() == before
    assert load_run(run).step == 8


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_state_is_one_sentence(seed: int, run: Run) -> None:
    """Cut off, or with a run of bytes overwritten anywhere."""
    import random

    luck = random.Random(seed)
    data = bytearray(run.file(STATE).read_bytes())
    place = luck.randrange(len(data))
    if seed % 3 == 0:
        del data[place:]
    else:
        data[:64] = luck.randbytes(64)
        data[place : place + 200] = luck.randbytes(min(200, len(data) - place))
    run.file(STATE).write_bytes(bytes(data))
    with pytest.raises(UserError, match="cannot be resumed exactly") as error:
        state = load_state(run)
        assert state is not None
        make_loop(run.config(), state)
    assert "\n" not in str(error.value)


def test_the_command_line_says_it_and_exits_with_2(run: Run) -> None:
    torch.save({"step": 8}, run.file(STATE))
    run.set_status(Status(state="stopped", step=8, total_steps=8))
    done = subprocess.run(
        [sys.executable, "-m", "vae_core", "resume", run.id, "--store", str(run.path.parent)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "does not fit this run" in done.stderr and "Traceback" not in done.stderr


def test_the_objectives_weights_lie_behind_a_prefix(run: Run) -> None:
    names = set(load_file(run.file(WEIGHTS)))
    own = {name for name in names if name.startswith(OBJECTIVE)}
    assert own == {OBJECTIVE + name for name in load_run(run).objective.state_dict()} != set()
    assert names - own == set(load_run(run).model.state_dict())
