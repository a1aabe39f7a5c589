"""Three steps in a row that cannot be taken lead back; after three returns training ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from latent_workbench.live.history import History
from tests.engine import make_loop, tiny
from tests.killed import equal
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.runs import STATE, WEIGHTS, Run, Store
from vae_core.training import worker
from vae_core.training.control import send
from vae_core.training.events import Skipped
from vae_core.training.loop import Loop
from vae_core.training.stability import SPIKE_MIN, SpikeDetector
from vae_core.training.worker import work

SMALL = {"model": {"backbone": "mlp", "options": {"hidden": [16]}}, "data": {"limit": 300}}


def growing(decay: float) -> RunConfig:
    """A run that really diverges: each step multiplies the weights by 1 − learning rate · decay."""
    train = {"optimizer": "adamw", "learning_rate": 1.0, "weight_decay": decay, "batch_size": 4}
    return tiny(**SMALL, train={**train, "epochs": 1, "preview_every": 1000})


def records(run: Run, *kinds: str) -> list[dict[str, Any]]:
    return [record for record in run.history()[0] if record["kind"] in kinds]


def rises(run: Run) -> bool:
    steps = [record["step"] for record in records(run, "step")]
    return steps == sorted(set(steps))


def test_a_run_that_diverges_goes_back_until_its_steps_are_small_enough(tmp_path: Path) -> None:
    """Factors −9, −4 and −1.5 a step, and with an eighth of the learning rate −0.25."""
    run = Store(tmp_path).create("tiny", growing(10.0))
    assert work(run).finished
    went = records(run, "went_back")
    assert [each["number"] for each in went] == [1, 2, 3]
    assert [each["learning_rate_factor"] for each in went] == [0.5, 0.25, 0.125]
    for each in went:
        assert each["step"] == 0 < each["from_step"] and "It went back to step 0" in each["message"]
        assert "3 steps in a row were not taken" in each["message"]
    assert rises(run) and run.weights_step() == run.status().total_steps
    assert len(records(run, "preview")) == len({r["step"] for r in records(run, "preview")})
    assert torch.load(run.file(STATE), weights_only=True)["recovery"]["factor"] == 0.125
    marks = History(run)
    marks.refresh()
    assert [mark["kind"] for mark in marks.full()[0]["marks"]] == ["went_back"] * 3


def test_after_three_returns_it_ends_with_a_sentence_that_is_true(tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", growing(1e5))
    with pytest.raises(UserError) as error:
        work(run)
    assert "It had gone back 3 times before, so it has ended." in str(error.value)
    assert "Nothing had been saved yet" in str(error.value)
    assert run.status().state == "failed" and run.status().message == str(error.value)
    assert not run.file(WEIGHTS).exists()
    assert len(records(run, "went_back")) == 4


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Loop], bool]], None]:
    """Make gradients of the worker's loop infinite while something holds of it."""

    def when(holds: Callable[[Loop], bool]) -> None:
        class Breaking(Loop):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)

                def overflow(gradient: torch.Tensor) -> torch.Tensor:
                    return torch.full_like(gradient, math.inf) if holds(self) else gradient

                next(iter(self.players.parameters.values()))[-1].register_hook(overflow)

        monkeypatch.setattr(worker, "Loop", Breaking)

    return when


def saving_every_four() -> RunConfig:
    """19 steps of one epoch."""
    often = {"checkpoint_every": 4, "log_every": 1, "preview_every": 3}
    return tiny(**SMALL, train={"epochs": 1, "batch_size": 16, **often})


def test_the_good_weights_are_kept_and_a_resume_goes_on_from_them(
    tmp_path: Path, breaking: Any
) -> None:
    breaking(lambda loop: loop.step >= 9 and loop.recovery.factor > 0.1)
    run = Store(tmp_path).create("tiny", saving_every_four())
    with pytest.raises(UserError, match="of step 8 are saved; resume goes on from them") as error:
        work(run)
    assert "learning rate at 6.25e-05" in str(error.value)
    assert [each["step"] for each in records(run, "went_back")] == [8, 8, 8, 8]
    assert run.weights_step() == 8 and run.status().state == "failed"
    assert all(bool(each.isfinite().all()) for each in load_file(run.file(WEIGHTS)).values())
    assert [each["step"] for each in records(run, "step")] == list(range(1, 9))
    assert work(run).finished
    state = torch.load(run.file(STATE), weights_only=True)
    assert state["recovery"] == {"skipped": 0, "returns": 4, "left": 3, "factor": 0.0625}
    assert rises(run) and len(records(run, "went_back")) == 4


def test_one_return_heals_what_is_over_by_then(tmp_path: Path, breaking: Any) -> None:
    breaking(lambda loop: loop.step >= 10 and loop.recovery.returns == 0)
    run = Store(tmp_path).create("tiny", saving_every_four())
    assert work(run).finished
    (went,) = records(run, "went_back")
    assert (went["step"], went["from_step"], went["learning_rate_factor"]) == (8, 13, 0.5)
    assert not records(run, "skipped"), "those steps came again"
    assert rises(run)


def test_a_return_outlives_a_stop_and_ends_as_without_one(tmp_path: Path, breaking: Any) -> None:
    """Stopped right after it: the resumed run counts on and learns as slowly."""
    breaking(lambda loop: loop.step >= 10 and loop.recovery.returns == 0)
    whole = Store(tmp_path).create("whole", saving_every_four())
    assert work(whole).finished
    run = Store(tmp_path).create("stopped", saving_every_four())

    def stop(event: Any) -> None:
        if type(event).__name__ == "RolledBack":
            send(run, {"command": "stop"})

    assert not work(run, lambda total, first: [stop]).finished
    assert run.weights_step() == 8 and len(records(run, "went_back")) == 1
    assert work(run).finished
    assert equal(run, whole) and len(records(run, "went_back")) == 1


def test_weights_found_broken_lead_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overflowing(Loop):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            optimizer = self.players.optimizers["model"]
            step = optimizer.step

            def overflow(*refused: torch.Tensor | None) -> None:
                step(*refused)
                if self.step == 11 and not self.recovery.returns:  # the save of 12 would keep it
                    with torch.no_grad():
                        optimizer.parameters[0].view(-1)[0] = math.nan

            optimizer.step = overflow  # type: ignore[method-assign]

    monkeypatch.setattr(worker, "Loop", Overflowing)
    run = Store(tmp_path).create("tiny", saving_every_four())
    assert work(run).finished
    (went,) = records(run, "went_back")
    assert (
        went["step"] == 8
        and "At step 12 training diverged: the weights are not finite." in went["message"]
    )


def test_what_was_set_by_hand_survives_a_return(tmp_path: Path, breaking: Any) -> None:
    breaking(lambda loop: loop.step >= 10 and loop.recovery.returns == 0)
    run = Store(tmp_path).create("tiny", saving_every_four())

    asked: list[Any] = []

    def set_beta(event: Any) -> None:
        if type(event).__name__ == "Stepped" and event.step == 9 and not asked:
            asked.append(event)
            send(run, {"command": "set", "name": "beta", "value": 2.5})

    work(run, lambda total, first: [set_beta])
    assert [(each["step"], each["value"]) for each in records(run, "set")] == [(8, 2.5)]
    assert records(run, "step")[-1]["beta"] == 2.5 and run.summary()["beta"] == 2.5


def test_a_state_of_a_version_that_did_not_count_goes_on(tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", saving_every_four())
    work(run)
    state = torch.load(run.file(STATE), weights_only=True)
    for later in ("recovery", "best", "validated"):
        del state[later]
    loop = make_loop(run.config().updated({"train": {"epochs": 4}}), state)
    assert [event for event in loop.run()][-1].step == 4 * loop.steps_per_epoch


# --- spikes --------------------------------------------------------------------------------------


def test_a_spike_is_skipped_where_that_is_asked_for() -> None:
    """One batch whose loss is a thousand times the others': off by default, a step as any other."""

    def skipped(spike: float | None) -> list[Skipped]:
        config = tiny(**SMALL, train={"epochs": 12, "spike": spike, "log_every": 1})
        loop = make_loop(config)
        losses = loop.objective.losses

        def jumping(x: torch.Tensor, output: Any, context: Any) -> Any:
            found = losses(x, output, context)
            if context.step == 40 and loop.model.training:
                found["model"]["recon"].value.mul_(1000.0)
            return found

        loop.objective.losses = jumping  # type: ignore[method-assign]
        return [event for event in loop.run() if isinstance(event, Skipped)]

    assert skipped(None) == []
    (event,) = skipped(30.0)
    assert event.step == 41 and "the loss of the model jumped to" in event.message


@pytest.mark.parametrize("level", [-500.0, 0.0, 500.0])
def test_a_spike_is_measured_by_the_spread_whatever_the_level(level: float) -> None:
    """Nats of a density may be negative, where a multiple of the median would mean nothing."""
    spikes = SpikeDetector(10.0)
    for number in range(SPIKE_MIN):
        assert spikes.check({"model": torch.tensor(level + number % 5)}) == ""
    assert spikes.check({"model": torch.tensor(level + 9.0)}) == ""
    assert "jumped" in spikes.check({"model": torch.tensor(level + 30.0)})
    assert spikes.check({"model": torch.tensor(level - 30.0)}) == "", "less is no harm"
    again = SpikeDetector(10.0)
    again.load_state_dict(spikes.state_dict())
    assert again.state_dict() == spikes.state_dict()
    again.reset()
    assert again.check({"model": torch.tensor(level + 1e6)}) == ""
