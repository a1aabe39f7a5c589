"""What a thread records beside the training: in order, from copies, one save at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine import make_loop, tiny
from vae_core.errors import UserError
from vae_core.runs import Run, Store
from vae_core.training import recorders, watchdog
from vae_core.training.behind import Behind
from vae_core.training.checkpoint import save_checkpoint
from vae_core.training.control import WorkerControl
from vae_core.training.events import Checkpoint, Event, Noted
from vae_core.training.worker import work

SMALL = {"model": {"backbone": "mlp", "options": {"hidden": [16]}}}


def noted(step: int) -> Noted:
    return Noted(step, 1, 0.0, "said")


def save_of(step: int, weight: torch.Tensor) -> Checkpoint:
    return Checkpoint(step, 1, 0.0, {"step": step, "modules": {"model": {"w": weight}}})


class Slow:
    """A recorder that stands still until it is let go."""

    def __init__(self) -> None:
        self.go, self.seen = threading.Event(), list[Event]()

    def __call__(self, event: Event) -> None:
        assert self.go.wait(30)
        self.seen.append(event)


def test_events_are_recorded_in_order_while_training_goes_on() -> None:
    slow, took = Slow(), list[float]()
    with Behind(slow, took.append) as behind:
        for step in range(5):
            behind(noted(step))
        assert slow.seen == [] and not took, "nobody has waited"
        slow.go.set()
        behind.wait()
        assert [event.step for event in slow.seen] == list(range(5))


def test_a_save_is_of_the_moment_it_was_asked_for_and_the_next_one_waits() -> None:
    slow, weight, took = Slow(), torch.zeros(3), list[float]()
    with Behind(slow, took.append) as behind:
        behind(save_of(1, weight))
        weight += 1
        assert behind.saving and not slow.seen
        threading.Timer(0.2, slow.go.set).start()
        started = time.monotonic()
        behind(save_of(2, weight))
        assert time.monotonic() - started > 0.1, "one at a time"
        weight += 1
    first, second = (event.state["modules"]["model"]["w"] for event in slow.seen)  # type: ignore[attr-defined]
    assert first.tolist() == [0.0] * 3 and second.tolist() == [1.0] * 3
    assert not behind.saving and len(took) == 2 and took[0] > 0.1


def test_what_fails_in_the_thread_is_raised_in_the_loop_and_nothing_more_is_recorded() -> None:
    seen: list[int] = []

    def full(event: Event) -> None:
        if event.step == 1:
            raise UserError("the disk is full")
        seen.append(event.step)

    behind = Behind(full, lambda seconds: None)
    with pytest.raises(UserError, match="full"), behind:
        for step in range(1000):
            behind(noted(step))
            behind.wait()
    assert seen == [0]
    with pytest.raises(UserError, match="full"), Behind(full, lambda seconds: None) as behind:
        behind(noted(1))  # the last that is handed over


def test_the_error_of_the_loop_comes_before_that_of_the_thread() -> None:
    def full(event: Event) -> None:
        raise UserError("the disk is full")

    with pytest.raises(KeyError, match="loop"), Behind(full, lambda seconds: None) as behind:
        behind(noted(1))
        raise KeyError("loop")


def test_a_run_is_saved_while_it_goes_on_and_ends_as_one_that_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are taken between the beginning and the end of a save that takes half a second."""
    config = tiny(**SMALL, train={"epochs": 2, "batch_size": 8, "checkpoint_every": 20})
    reached, during = 0, set[int]()

    def slowly(run: Run, checkpoint: Checkpoint) -> None:
        before = reached
        if checkpoint.step == 20:
            time.sleep(0.5)
            during.update(range(before, reached))
        save_checkpoint(run, checkpoint)

    def count(event: Event) -> None:
        nonlocal reached
        reached = event.step

    monkeypatch.setattr(recorders, "save_checkpoint", slowly)
    config = config.updated({"train": {"log_every": 1}})
    run = Store(tmp_path).create("beside", config)
    assert work(run, lambda total, first: [count]).finished
    assert len(during) > 3
    loop = make_loop(config)
    for _ in loop.run():
        pass
    kept = load_file(run.file("model.safetensors"))
    for name, tensor in loop.model.state_dict().items():
        assert torch.equal(kept[name], tensor), name


def test_a_full_disk_met_by_the_thread_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run, checkpoint: Checkpoint) -> None:
        raise UserError("There is no space left.")

    run = Store(tmp_path).create("full", tiny(**SMALL, train={"checkpoint_every": 1}))
    monkeypatch.setattr(recorders, "save_checkpoint", full)
    with pytest.raises(UserError, match="no space"):
        work(run)
    assert run.status().state == "failed" and "no space" in run.status().message


def test_a_stop_leaves_a_save_the_time_that_a_slow_disk_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(watchdog, "watch", lambda stop, status: asked.append(status))
    run = Store(tmp_path).create("slow", tiny())
    control = WorkerControl(run, 0)
    control.started = True
    watchdog.watch_worker(run, 0, control)
    assert asked[0](watchdog.GRACE_S + 1, None) == 0
    control.saving = lambda: True
    assert asked[0](watchdog.GRACE_S + 1, None) is None
    assert asked[0](watchdog.SAVE_S + 1, None) == 0
