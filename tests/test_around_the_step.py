"""The benchmarks of what surrounds a step say what they promise; tiny, as speed is no test's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine import tiny
from vae_core.data import Dataset
from vae_core.models import LatentModel
from vae_core.runs import Run, Store
from vae_core.training import worker
from vae_core.training.artifacts import may_encode

ROOT = Path(__file__).resolve().parent.parent


def told(*command: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", *command, "--json"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_shares_are_told_of_all_that_surrounds_a_step() -> None:
    found = told("benchmarks.shares", "--preset", "digits-vae", "--epochs", "1")
    shares = found["shares"]
    assert shares["steps"]["calls"] == found["steps"] > 20
    for part in ("validation", "previews", "saving, beside", "encodings", "the last measurement"):
        assert shares[part]["calls"] > 0 and 0 < shares[part]["wall"] < 1, part
    beside = {name for name in shares if name.endswith("beside")}
    assert sum(each["wall"] for name, each in shares.items() if name not in beside) < 1


@pytest.mark.parametrize("situation", ["busy", "two"])
def test_waiting_threads_are_compared_in_every_situation(situation: str) -> None:
    few = ("--ways", "passive,1000", "--situations", situation, "--rounds", "1")
    found = told("benchmarks.waiting", *few, "--seconds", "0.1")["images_per_s"]
    assert list(found) == [situation] and list(found[situation]) == ["passive", "1000"]
    assert found[situation]["passive"]["ratio_passive"] == 1.0
    assert all(each["images_per_s"] > 0 for each in found[situation].values())


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
