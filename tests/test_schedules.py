"""Values over steps."""

from __future__ import annotations

import pytest

from vae_core.schedules import (
    DECAYS,
    SCHEDULES,
    Span,
    constant,
    cosine,
    cyclical,
    exponential,
    linear,
    warmed_up,
)


def test_constant() -> None:
    assert {constant(0.7)(step) for step in (0, 10, 10**6)} == {0.7}


def test_linear_reaches_its_end_and_stays() -> None:
    warm_up = linear(0.0, 4.0, 100)
    assert [warm_up(step) for step in (0, 25, 100, 5000)] == [0.0, 1.0, 4.0, 4.0]


def test_cyclical_starts_over() -> None:
    cycles = cyclical(2.0, 100)
    assert [cycles(step) for step in (0, 25, 50, 99, 100, 125)] == [0.0, 1.0, 2.0, 2.0, 0.0, 1.0]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_named_schedule_ends_its_warm_up_at_the_value(name: str) -> None:
    schedule = SCHEDULES[name](3.0, 10)  # type: ignore[index]
    assert max(schedule(step) for step in range(11)) == 3.0
    assert all(0 <= schedule(step) <= 3.0 for step in range(50))


def test_cosine_falls_from_its_value_to_nothing() -> None:
    decay = cosine(2.0, 100)
    assert [round(decay(step), 6) for step in (0, 50, 100, 200)] == [2.0, 1.0, 0.0, 0.0]
    assert all(decay(step) > decay(step + 1) for step in range(100))


def test_exponential_falls_once_an_epoch() -> None:
    decay = exponential(0.005, 0.95, 10)
    assert [decay(step) for step in (0, 9)] == [0.005, 0.005]
    assert decay(10) == pytest.approx(0.00475)
    assert decay(100) == pytest.approx(0.005 * 0.95**10)


def test_it_is_the_learning_rate_of_the_usual_scheduler() -> None:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    theirs = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    ours = DECAYS["exponential"](0.1, Span(steps=15, epoch=3, factor=0.9))
    for epoch in range(5):
        assert {round(ours(3 * epoch + step), 12) for step in range(3)} == {
            round(theirs.get_last_lr()[0], 12)
        }
        optimizer.step()
        theirs.step()


def test_a_warm_up_rises_evenly_and_leaves_the_rest_as_it_is() -> None:
    decay = cosine(2.0, 100)
    warm = warmed_up(decay, 4)
    assert [warm(step) for step in range(6)] == [
        decay(0) / 4, decay(1) / 2, decay(2) * 3 / 4, decay(3), decay(4), decay(5),
    ]  # fmt: skip
    assert warmed_up(decay, 0) is decay


@pytest.mark.parametrize("name", DECAYS)
def test_every_decay_starts_at_its_value_and_never_rises(name: str) -> None:
    decay = DECAYS[name](3.0, Span(40, 10, 0.5))  # type: ignore[index]
    values = [decay(step) for step in range(40)]
    assert values[0] == 3.0 and values == sorted(values, reverse=True) and min(values) >= 0
