"""The loop as a stream of events."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.engine import make_loop, tiny, trained
from vae_core.errors import UserError
from vae_core.training.control import Message
from vae_core.training.events import (
    Checkpoint,
    Ended,
    EpochSaved,
    Event,
    PauseChanged,
    Previewed,
    Stepped,
    Validated,
    ValueSet,
)
from vae_core.training.loop import Loop


def test_a_run_begins_with_a_preview_and_ends_with_its_end() -> None:
    events = list(make_loop(tiny()).run())
    assert isinstance(events[0], Previewed) and events[0].step == 0
    assert isinstance(events[-1], Ended) and events[-1].finished
    assert events[-1].step == 10
    validated = [e for e in events if isinstance(e, Validated)]
    assert [e.epoch for e in validated] == [1, 2]
    assert [e.step for e in events if isinstance(e, Checkpoint)][-1] == 10
    assert [e.step for e in events if isinstance(e, EpochSaved)] == [5, 10]
    steps = [e.step for e in events if isinstance(e, Stepped)]
    assert steps == [2, 4, 5, 6, 8, 10]


def test_slow_steps_are_recorded_before_their_window_is_full() -> None:
    loop = make_loop(tiny(train={"log_every": 100}))
    loop.max_window_s = 0.0
    assert [e.step for e in loop.run() if isinstance(e, Stepped)] == list(range(1, 11))


def test_total_is_the_weighted_sum_of_its_terms() -> None:
    for event in make_loop(tiny(objective={"beta": 3.0})).run():
        if isinstance(event, Stepped):
            total = event.terms["recon"] + 3.0 * event.terms["kl"]
            assert event.total == pytest.approx(total, rel=1e-5)
            assert event.weights == {"recon": 1.0, "kl": 3.0}


def test_validation_uses_the_same_weights_as_training() -> None:
    for event in make_loop(tiny(objective={"beta": 0.25})).run():
        if isinstance(event, Validated):
            m = event.measurement
            assert m.weights == {"recon": 1.0, "kl": 0.25}
            assert m.total == pytest.approx(m.terms["recon"] + 0.25 * m.terms["kl"], rel=1e-5)
            assert m.kl_per_dim is not None
            assert sum(m.kl_per_dim) == pytest.approx(m.terms["kl"], rel=1e-4)


def test_an_epoch_is_measured_on_the_same_few_images_and_the_run_on_all(tmp_path: Path) -> None:
    few = tiny(train={"validation_images": 7, "epochs": 3})
    whole, part = make_loop(tiny()), make_loop(few)
    images = part._measured.images.gather(np.arange(7))
    everything = np.arange(len(whole.dataset.validation))
    held_out = {image.tobytes() for image in whole.dataset.validation.images.gather(everything)}
    assert len(everything) > 7 and {image.tobytes() for image in images} <= held_out
    assert [e.measurement.images for e in part.run() if isinstance(e, Validated)] == [7] * 3
    again, other = make_loop(few), make_loop(few.updated({"train": {"seed": 5}}))
    assert (again._measured.images.gather(np.arange(7)) == images).all()
    assert not (other._measured.images.gather(np.arange(7)) == images).all()
    more_than_there_are = make_loop(tiny(train={"validation_images": 1_000_000}))
    assert len(more_than_there_are._measured) == len(everything)
    run = trained(tmp_path, **few.model_dump())
    assert [r["images"] for r in run.history()[0] if r["kind"] == "validation"] == [7] * 3
    assert run.summary()["images"] == len(everything)


def test_previews_that_nobody_asked_for_take_little_of_the_time() -> None:
    def steps(**train: int) -> list[int]:
        loop = make_loop(tiny(train={"epochs": 2} | train))
        shown, picture = [], loop._pictured

        def slowly() -> Previewed:
            time.sleep(0.2)
            return picture()

        loop._pictured = slowly  # type: ignore[method-assign]
        for event in loop.run():
            if isinstance(event, Previewed):
                shown.append(event.step)
        assert loop.step == loop.total_steps > 8
        return shown

    assert (shown := steps())[0] == 0 and len(shown) == 2, "the first and the last"
    every = steps(preview_every=3)
    assert every[:4] == [0, 3, 6, 9], "those that were asked for come"


def test_hold_outs_and_prior_draws_are_the_same_all_through() -> None:
    loop = make_loop(tiny(train={"preview_every": 4}))
    previews = [e for e in loop.run() if isinstance(e, Previewed)]
    assert len(previews) > 3
    assert all(torch.equal(e.originals, previews[0].originals) for e in previews)
    assert len(previews[0].originals) == 10
    assert not torch.equal(previews[0].samples, previews[-1].samples)


def test_beta_set_by_hand_takes_effect_and_is_told() -> None:
    asked = iter([[], [Message("set", "beta", 7.5)]])
    events = list(make_loop(tiny()).run(lambda: next(asked, [])))
    told = [e for e in events if isinstance(e, ValueSet)]
    assert [(e.step, e.name, e.value) for e in told] == [(1, "beta", 7.5)]
    assert [e for e in events if isinstance(e, Stepped)][-1].weights["kl"] == 7.5


def in_validation(loop: Loop, *asked: list[Message]) -> Callable[[], list[Message]]:
    """A channel through which the first wishes come between two batches of unseen images."""
    wishes = iter(asked)
    return lambda: [] if loop.model.training else next(wishes, [])


def test_values_are_taken_during_a_validation() -> None:
    loop = make_loop(tiny())
    wishes = in_validation(
        loop, [Message("pause"), Message("set", "beta", 7.5)], [Message("resume")]
    )
    told = list(loop.run(wishes))
    kinds = [type(event) for event in told if event.step == 5]
    assert kinds.index(PauseChanged) < kinds.index(ValueSet) < kinds.index(Validated)
    assert loop.model.training and told[-1].step == 10
    measured = next(event for event in told if isinstance(event, Validated)).measurement
    assert measured.weights["kl"] == 1.0, "one β for all of its images"


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_validation_that_a_stop_cuts_off_is_what_resume_begins_with(epoch: int) -> None:
    def measured(events: list[Event]) -> list[tuple[int, float]]:
        return [(e.step, e.measurement.total) for e in events if isinstance(e, Validated)]

    whole = list(make_loop(tiny()).run())
    loop = make_loop(tiny())
    told: list[Event] = []
    wishes = in_validation(loop, [Message("stop")])
    for event in loop.run(lambda: wishes() if loop.step == 5 * epoch else []):
        told.append(event)
    assert told[-1].step == 5 * epoch and len(measured(told)) == epoch - 1
    saved = [event for event in told if isinstance(event, Checkpoint)][-1]
    again = make_loop(tiny(), state=saved.state)
    told += again.run()
    assert measured(told) == measured(whole), "each once, and the same"
    ours, last = again.model.state_dict(), [e for e in whole if isinstance(e, Checkpoint)][-1]
    theirs = last.state["modules"]["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_an_objective_does_not_offer_is_not_set() -> None:
    loop = make_loop(tiny(family="autoencoder"))
    asked = iter([[Message("set", "beta", 7.5)]])
    assert not [e for e in loop.run(lambda: next(asked, [])) if isinstance(e, ValueSet)]


def test_pause_saves_waits_and_goes_on() -> None:
    asked = itertools.chain([[Message("pause")], [], []], [[Message("resume")]])
    events = list(make_loop(tiny()).run(lambda: next(asked, [])))
    kinds = [type(e) for e in events[1:4]]
    assert kinds == [Checkpoint, PauseChanged, PauseChanged]
    assert [e.paused for e in events if isinstance(e, PauseChanged)] == [True, False]
    assert events[-1].step == 10


def test_stop_saves_where_it_stands() -> None:
    asked = itertools.chain([[]] * 3, [[Message("stop")]])
    events = list(make_loop(tiny()).run(lambda: next(asked, [])))
    assert isinstance(events[-1], Ended) and not events[-1].finished
    saved = [e for e in events if isinstance(e, Checkpoint)][-1]
    assert saved.step == events[-1].step == 3
    assert saved.state["step"] == 3


def test_stop_while_paused() -> None:
    asked = iter([[Message("pause")], [Message("stop")]])
    events = list(make_loop(tiny()).run(lambda: next(asked, [])))
    assert isinstance(events[-1], Ended) and not events[-1].finished


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.batch_size: a batch of 512 .* 300 training"):
        make_loop(tiny(train={"batch_size": 512}))


def test_a_diverging_run_says_so_and_saves_nothing_broken() -> None:
    loop = make_loop(tiny(train={"learning_rate": 10.0, "epochs": 50}, model={"latent_dim": 4}))
    with torch.no_grad():
        next(iter(loop.model.parameters())).fill_(float("nan"))
    events = []
    with pytest.raises(UserError, match="training diverged"):
        for event in loop.run():
            events.append(event)
    assert not any(isinstance(event, Checkpoint) for event in events)


def test_gradient_clip_bounds_the_step() -> None:
    free, clipped = make_loop(tiny()), make_loop(tiny(train={"gradient_clip": 1e-8}))
    before = [p.clone() for p in clipped.model.parameters()]

    def moved(loop: object) -> float:
        for event in loop.run():  # type: ignore[attr-defined]
            if isinstance(event, Stepped):
                break
        now = loop.model.parameters()  # type: ignore[attr-defined]
        return sum(float((a - b).detach().norm()) for a, b in zip(before, now, strict=True))

    assert moved(clipped) < 0.8 * moved(free)


def test_a_clipped_step_is_that_of_torch() -> None:
    """Clipping goes by the norm that tells whether a step counts, within Adam's pass."""
    ours, theirs = (make_loop(tiny(train={"gradient_clip": 3.0})).players for _ in range(2))
    x, context = make_loop(tiny()).batch(np.arange(8))
    weights = [*theirs.parameters["model"]]
    adam = torch.optim.Adam(weights, lr=ours.optimizers["model"].lr)
    for step in range(5):
        ours.step(x, replace(context, step=step, generator=ours.generator))
        theirs.backward(x, replace(context, step=step, generator=theirs.generator))
        assert nn.utils.clip_grad_norm_(weights, 3.0) > 3.0
        adam.step()
    for mine, its in zip(ours.parameters["model"], weights, strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-6)
