"""The average of the weights: what it is of, who sees it, and that it goes on where it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine import make_loop, tiny, trained
from tests.test_continuation import overfitting
from vae_core.config import parse_config
from vae_core.errors import UserError
from vae_core.families.footprint import (
    COPIES,
    MEMORY_VARIABLE,
    footprint,
    require_memory_to_train,
)
from vae_core.loading import load_run
from vae_core.metrics import measure
from vae_core.runs import DataCard
from vae_core.training.events import BestTaken, Checkpoint, Validated
from vae_core.training.loop import Loop
from vae_core.training.stability import named_tensors
from vae_core.types import Context

BATCH_NORM = {"backbone": "conv-bn", "options": {"channels": [8, 16]}}


def flat(modules: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in named_tensors(modules, "")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in one.items())


def average_of(loop: Loop) -> dict[str, torch.Tensor]:
    assert loop.players.average is not None
    return flat(loop.players.average.modules())


def take(loop: Loop, first: int, last: int) -> None:
    for step in range(first, last):
        list(loop._step(np.arange(16) + 16 * step))


def test_it_is_that_of_all_weights_so_far_the_first_of_which_are_soon_forgotten() -> None:
    """The sum written out, with batch normalisation's running statistics and its counts."""
    loop = make_loop(tiny(model=BATCH_NORM, train={"ema": 0.4}))
    loop.model.train()
    expected = {name: each.double() for name, each in flat(loop.players.modules()).items()}
    for step in range(8):
        take(loop, step, step + 1)
        decay = min(0.4, (2 + step) / (11 + step))
        for name, newest in flat(loop.players.modules()).items():
            old = expected[name]
            counts = not newest.is_floating_point()
            expected[name] = newest if counts else decay * old + (1 - decay) * newest.double()
    found = average_of(loop)
    assert any(name.endswith("running_var") for name in found)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.double(), expected[name].double(), rtol=1e-5, atol=1e-6)
    assert not same(found, flat(loop.players.modules()))


def test_a_step_that_was_refused_is_not_in_it() -> None:
    loop = make_loop(tiny(train={"ema": 0.4}))
    loop.model.train()
    take(loop, 0, 3)
    before = average_of(loop)
    weight = next(iter(loop.players.parameters.values()))[-1]
    handle = weight.register_hook(lambda gradient: torch.full_like(gradient, math.inf))
    take(loop, 3, 4)
    assert same(before, average_of(loop))
    handle.remove()
    take(loop, 4, 5)
    assert not same(before, average_of(loop))


def test_the_average_is_saved_measured_encoded_and_shown(tmp_path: Path) -> None:
    run = trained(tmp_path, "average", train={"ema": 0.9})
    state, loaded = run.training_state(), load_run(run)
    saved = flat({"model": loaded.model.state_dict(), "objective": loaded.objective.state_dict()})
    assert same(saved, flat(state["average"]))
    assert not same(saved, flat(state["modules"]))

    loop = make_loop(run.config())
    measured = [event for event in loop.run() if isinstance(event, Validated)][-1].measurement
    assert loop.players.average is not None
    model, objective = loop.players.average.model, loop.players.average.objective
    noise = torch.Generator().manual_seed(loop.config.train.seed + 1)
    again = measure(model, objective, loop.dataset.validation, Context(loop.step - 1, noise))
    assert again.terms == pytest.approx(measured.terms, rel=1e-6)
    newest = measure(loop.model, loop.objective, loop.dataset.validation, Context(0, noise))
    assert newest.terms["recon"] != pytest.approx(measured.terms["recon"], rel=1e-3)
    assert run.summary()["recon"] == pytest.approx(measured.terms["recon"], rel=0.02)

    shown = loop._pictured()
    with torch.inference_mode():
        mode = model.eval().encode(loop._inputs).mode()
        torch.testing.assert_close(shown.reconstructions, model.picture(model.decode(mode)))


@pytest.mark.parametrize("cut", [3, 5])
def test_cut_off_anywhere_it_goes_on_to_the_bit(cut: int) -> None:
    config = tiny(train={"ema": 0.9, "warmup_steps": 4, "log_every": 1})
    whole = make_loop(config)
    list(whole.run())
    loop = make_loop(config)
    events = loop.run()
    while loop.step < cut:
        next(events)
    resumed = make_loop(config, loop.checkpoint().state)
    list(resumed.run())
    assert same(average_of(whole), average_of(resumed))
    assert same(flat(whole.players.modules()), flat(resumed.players.modules()))


def test_the_best_weights_are_the_best_average() -> None:
    """And a run that ends with them has them as its weights and as their average."""
    loop = make_loop(overfitting(train={"ema": 0.5}))
    averages: dict[int, dict[str, torch.Tensor]] = {}
    taken, saved = None, None
    for event in loop.run():
        if isinstance(event, Validated):
            averages[event.step] = average_of(loop)
        if isinstance(event, BestTaken):
            taken = event
        if isinstance(event, Checkpoint):
            saved = event
    assert taken is not None and saved is not None and taken.best_step < loop.step
    best = averages[taken.best_step]
    assert same(average_of(loop), best) and same(flat(loop.players.modules()), best)
    assert same(flat(saved.state["average"]), best)


def test_a_state_without_it_does_not_fit() -> None:
    state = make_loop(tiny()).checkpoint().state
    with pytest.raises(UserError, match="does not fit this run"):
        make_loop(tiny(train={"ema": 0.9}), state)


def test_its_memory_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    card = DataCard(dataset="drawn", image_shape=(1, 32, 32), n_train=100, n_validation=10)
    config = parse_config({"model": {"options": {"channels": [64, 256]}}})
    found = footprint(config, card)
    needed = COPIES * found.weights + 100 * found.image
    monkeypatch.setenv(MEMORY_VARIABLE, str((needed + found.weights / 2) / 1e9))
    require_memory_to_train(config, card)
    with pytest.raises(UserError, match="a batch size of at most"):
        require_memory_to_train(config.updated({"train": {"ema": 0.999}}), card)
