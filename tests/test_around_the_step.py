"""The benchmarks of what surrounds a step say what they promise; tiny, as speed is no test's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import waiting
from tests.engine import tiny
from vae_core.data import Dataset
from vae_core.models import LatentModel
from vae_core.runs import Run, Store
from vae_core.training import worker
from vae_core.training.artifacts import may_encode


def test_every_situation_is_measured_in_processes_of_its_own() -> None:
    """Beside a busy process, and two at once, whose speeds add up."""
    assert waiting.measured("passive", "busy", 0.1) > 0
    assert waiting.measured("1000", "two", 0.1) > 0


def test_ways_of_waiting_take_turns_and_ratios_are_of_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds, turns = iter([10.0, 20.0, 60.0, 20.0, 5.0, 10.0]), []

    def measured(way: str, situation: str, seconds: float) -> float:
        turns.append((way, situation))
        return next(speeds)

    monkeypatch.setattr(waiting, "measured", measured)
    found = waiting.compare(["passive", "1000"], ["quiet"], 3, 0.1)["quiet"]
    assert [way for way, _ in turns] == ["passive", "1000", "1000", "passive", "passive", "1000"]
    assert found["passive"] == {"images_per_s": 10, "ratio_passive": 1.0}
    assert found["1000"] == {"images_per_s": 20, "ratio_passive": 2.0}  # of 2, 3 and 2


def test_a_few_images_are_encoded_on_the_way_once_that_takes_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    save = worker.save_latents

    def counted(run: Run, model: LatentModel, dataset: Dataset, step: int, *rest: Any) -> Any:
        encoded.append(step)
        return save(run, model, dataset, step, *rest)

    monkeypatch.setattr(worker, "save_latents", counted)
    monkeypatch.setattr(worker.TimeBudget, "allows", lambda budget: True)
    run = Store(tmp_path).create("run", tiny(train={"epochs": 7}))
    assert worker.work(run).finished
    epoch = -(-run.data_card().n_train // 64)
    assert encoded == [5 * epoch, 6 * epoch, 7 * epoch]
    assert may_encode(15_000, 60_000) and not may_encode(14_999, 60_000)
