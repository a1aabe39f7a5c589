"""Values over steps."""

from __future__ import annotations

import pytest

from vae_core.schedules import SCHEDULES, constant, cosine, cyclical, linear


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
