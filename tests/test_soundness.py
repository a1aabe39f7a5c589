"""Numbers that are none are never shown, measured or saved, and the sentence about it is true."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine import make_loop, tiny, trained
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.export import Source, export
from vae_core.runs import BEST, STATE, WEIGHTS, Run, Store
from vae_core.training import worker
from vae_core.training.events import Checkpoint, Previewed, Skipped, Validated
from vae_core.training.loop import Loop
from vae_core.training.stability import find_non_finite, named_tensors
from vae_core.training.worker import work

LAST = 6
"""Of two epochs of 150 digits, 64 at once."""


def config_of(family: str = "vae", **train: Any) -> RunConfig:
    return tiny(
        family=family,
        data={"limit": 150},
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train={"checkpoint_every": 2, "preview_every": 1} | train,
    )


def break_gradient(loop: Loop, step: int, value: float) -> None:
    """One gradient of the step after `step` is `value`, as of an overflow."""

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        return torch.full_like(gradient, value) if loop.step == step else gradient

    weights = next(iter(loop.players.parameters.values()))
    weights[-1].register_hook(overflow)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the worker's loop break in the step after the given one."""

    def at(step: int, value: float = math.inf) -> None:
        class Breaking(Loop):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                break_gradient(self, step, value)

        monkeypatch.setattr(worker, "Loop", Breaking)

    yield at
    monkeypatch.setattr(worker, "Loop", Loop)


def all_finite(path: Path) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in load_file(path).values())


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("step", range(LAST))
def test_a_broken_gradient_at_any_step_is_skipped_and_said(
    step: int, value: float, tmp_path: Path, breaking: Any
) -> None:
    """Before a save, in the last step, in the first: the run goes on, and its saves are sound."""
    run = Store(tmp_path).create("tiny", config_of())
    breaking(step, value)
    assert work(run).finished
    assert run.weights_step() == LAST and all_finite(run.file(WEIGHTS))
    assert find_non_finite(torch.load(run.file(STATE), weights_only=True)) == ""
    (said,) = [r for r in run.history()[0] if r["kind"] == "skipped"]
    assert said["step"] == step + 1
    assert f"Step {step + 1} was not taken: the gradient of the model" in said["message"]


def traceless(before: Checkpoint, after: Checkpoint) -> bool:
    """Whether weights, running means, codebooks, critics and optimisers are the same; the noise
    has moved on, so that the next step is another draw."""
    parts = ("modules", "optimizers")
    for one, other in zip(
        *(named_tensors({p: e.state[p] for p in parts}, "") for e in (before, after)), strict=True
    ):
        assert one[0] == other[0] and torch.equal(one[1], other[1]), one[0]
    return True


def saves_around(loop: Loop, step: int) -> tuple[Checkpoint, Checkpoint]:
    """Copies of the save after `step` and of what one right after the skipped step would hold."""
    found = {}
    for event in loop.run():
        if isinstance(event, Checkpoint | Skipped):
            found[event.step] = copy.deepcopy(loop.checkpoint())
    return found[step], found[step + 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_keeps_a_trace_of_a_step_that_was_not_taken(family: str) -> None:
    loop = make_loop(config_of(family, checkpoint_every=1))
    break_gradient(loop, 3, math.inf)
    before, after = saves_around(loop, 3)
    assert traceless(before, after)
    assert loop.step == LAST and loop.recovery.skipped == 0


def test_the_step_after_a_skipped_one_draws_other_noise() -> None:
    loop = make_loop(config_of(checkpoint_every=1))
    break_gradient(loop, 3, math.inf)
    before, after = saves_around(loop, 3)
    assert not torch.equal(before.state["noise"], after.state["noise"])


def test_running_means_that_the_forward_pass_spoilt_are_put_back() -> None:
    """Batch normalisation takes an image of NaN into its means before any loss is known."""
    changed = {"model": {"backbone": "conv-bn", "options": {}}}
    loop = make_loop(config_of(checkpoint_every=1).updated(changed))
    real = loop.objective.forward

    def spoilt(model: Any, x: torch.Tensor, context: Any) -> Any:
        return real(model, x * math.nan if loop.step == 2 and model.training else x, context)

    loop.objective.forward = spoilt  # type: ignore[method-assign]
    assert traceless(*saves_around(loop, 2))


def test_weights_that_broke_are_neither_shown_nor_measured_nor_saved() -> None:
    """However it came: the step was finite, what it left is not."""
    loop = make_loop(config_of(checkpoint_every=100))
    optimizer = loop.players.optimizers["model"]
    step = optimizer.step

    def overflow(*given: Any) -> None:
        step(*given)
        if loop.step == 2:  # the third
            with torch.no_grad():
                optimizer.parameters[0].view(-1)[0] = math.inf

    optimizer.step = overflow  # type: ignore[method-assign]
    events, sentence = first_break(loop)
    assert "At step 3 training diverged: the weights are not finite" in sentence
    assert "Nothing had been saved" in sentence
    assert not [e for e in events if isinstance(e, Checkpoint | Validated)]
    assert [e.step for e in events if isinstance(e, Previewed)] == [0, 1, 2]


def first_break(loop: Loop) -> tuple[list[Any], str]:
    events: list[Any] = []
    with pytest.raises(UserError) as error:
        for event in loop.run():
            events.append(event)
    return events, str(error.value)


@pytest.mark.parametrize("where", ["exp_avg", "exp_avg_sq"])
def test_optimisers_are_looked_at_too(where: str) -> None:
    loop = make_loop(config_of())
    loop.players.optimizers["model"].state[0][where].view(-1)[0] = math.nan
    events, sentence = first_break(loop)
    assert "not finite" in sentence and not any(isinstance(e, Checkpoint) for e in events)


def test_a_validation_that_is_no_number_is_left_out_and_said_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes no weight, so it costs none; the last measurement, which has to be one, fails."""

    class Blind(Loop):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            losses = self.objective.losses

            def seen(x: torch.Tensor, output: Any, context: Any) -> Any:
                found = losses(x, output, context)
                if not self.model.training:
                    found["model"]["recon"].value.mul_(math.inf)
                return found

            self.objective.losses = seen  # type: ignore[method-assign]

    run = Store(tmp_path).create("tiny", config_of(checkpoint_every=100))
    monkeypatch.setattr(worker, "Loop", Blind)
    with pytest.raises(UserError, match=r"validation images is inf.*of step 6 are saved"):
        work(run)
    assert run.status().state == "failed" and run.weights_step() == LAST
    assert all_finite(run.file(WEIGHTS)) and run.weights_step(BEST) is None
    said = [r["message"] for r in run.history()[0] if r["kind"] == "skipped"]
    assert said == [f"The validation of step {n} was left out: its loss is inf." for n in (3, 6)]
    assert not [r for r in run.history()[0] if r["kind"] == "validation"]
    monkeypatch.undo()
    assert work(run).finished
    assert math.isfinite(run.summary()["recon"])


def test_history_holds_no_number_that_is_none(tmp_path: Path, breaking: Any) -> None:
    run = Store(tmp_path).create("tiny", config_of())
    breaking(5, math.nan)
    work(run)
    text = run.file("history.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text


# --- what an older version saved -----------------------------------------------------------------


@pytest.fixture
def spoilt(tmp_path: Path) -> Run:
    """A run whose weights an older version saved after they had become NaN."""
    run = trained(tmp_path, data={"limit": 150}, train={"epochs": 1})
    weights = load_file(run.file(WEIGHTS))
    next(iter(weights.values())).view(-1)[0] = math.nan
    save_file(weights, run.file(WEIGHTS), {"step": str(run.weights_step())})
    return run


@pytest.mark.parametrize("to", ["safetensors", "python", "onnx"])
def test_no_export_carries_them_on(to: str, spoilt: Run) -> None:
    with pytest.raises(UserError, match="are no numbers: the training diverged"):
        export(Source(spoilt), to)


def test_a_state_with_them_is_not_gone_on_with(tmp_path: Path) -> None:
    run = trained(tmp_path, data={"limit": 150}, train={"epochs": 1})
    state = torch.load(run.file(STATE), weights_only=True)
    next(iter(state["modules"]["model"].values())).view(-1)[0] = math.nan
    with pytest.raises(UserError, match="weights are not finite at step 3: training diverged"):
        make_loop(run.config().updated({"train": {"epochs": 2}}), state)


# --- the parts -----------------------------------------------------------------------------------


def nested(value: float) -> Iterator[Any]:
    for tensor in (torch.tensor(value), torch.tensor([[1.0, value]]), torch.tensor([value] * 3)):
        yield {"a": {0: torch.ones(2), "b": [], "c": tensor}, "n": 3}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_any_tensor_of_a_state_is_looked_at(value: float) -> None:
    for state in nested(value):
        assert find_non_finite(state) == "a.c"
    for state in nested(1e38):
        assert find_non_finite(state) == ""
    assert find_non_finite({"indices": torch.tensor([1]), "none": torch.zeros(0)}) == ""
    assert np.isfinite(1e38)
