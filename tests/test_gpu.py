"""`make test-gpu` takes the same way on the CPU, in tiny sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu, training, workloads
from benchmarks.workloads import ON_A_GPU, Workload, config_of
from vae_core.families import complete
from vae_core.presets import presets
from vae_core.training import worker
from vae_core.training.device import describe, make_exact

ROOT = Path(__file__).resolve().parent.parent
KINDS = ["vae", "factor-vae", "hierarchical", "stacked-denoising", "vae-gan", "vamp", "vq-vae"]
"""All of them resume in tests/test_precision.py; here it is the command that is tried."""


def test_the_way_of_a_gpu_is_taken_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Families of each kind of player and code resume to the same bits, and each side trains the
    networks; their figures say nothing here."""
    monkeypatch.setattr(gpu.process, "prepare", lambda: None)  # of a process of its own
    gpu.main("cpu", workloads="W1", rounds=1, only=",".join(KINDS), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["device"] == "cpu" and told["tiny"]
    assert [row["family"] for row in told["families"]] == KINDS
    for row in told["families"]:
        assert row["ok"] and row["differ"] == [] and 0 < row["resumed_at"] < row["steps"] == 6
    (found,) = told["workloads"].values()
    assert found["preset"] == "course-vae" and found["aim"] == 5.0 and found["bare"] is None
    assert found["ratio_tutorial"] > 0 and found["ratio_pythae"] > 0
    (images,) = {found["images"]}
    assert 900 < images < 1024, "two batches, less what is held out"


def test_what_trains_on_a_gpu_is_what_trains_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sides on the device that was asked for, and ours compiled besides."""
    asked: list[tuple[str, str, bool]] = []

    def measured(side: str, folder: Path, precision: str) -> dict[str, Any]:
        config = config_of(folder, **training.SIDES[side].changes(precision))
        asked.append((side, config.train.device, config.train.compile))
        found = {"images": 100, "precision": "bf16", "shares": {"steps": 1.0}}
        return {**found, "seconds": 1.0, "whole_seconds": 2.0, "images_per_s": len(asked)}

    monkeypatch.setattr(training, "measured", measured)
    monkeypatch.setattr(ON_A_GPU["W3"].__class__, "prepare", small)
    found = gpu.speeds("W3", "cuda", 1)
    assert asked == [
        ("ours", "cuda", False), ("ours_compiled", "cuda", True), ("tutorial", "cuda", False),
        ("pythae", "cuda", False),
    ]  # fmt: skip
    assert (found["ours_compiled"], found["ratio_pythae"], found["aim"]) == (2, 0.25, 2.0)


def small(workload: Workload, folder: Path, *wishes: Any, device: str) -> None:
    config = presets[workload.preset].config.updated({"train": {"device": device}})
    (folder / "config.json").write_text(complete(config).to_json())


def test_drawn_images_are_as_many_as_are_asked_for_and_no_two_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workloads, "CUT", 8)
    images = workloads.drawn(20, (1, 28, 28))
    assert images.shape == (20, 1, 28, 28) and images.dtype == np.uint8
    assert len(np.unique(images.reshape(20, -1), axis=0)) == 20
    assert (images[8:16] == np.roll(images[:8], 1, 3)).all()
    assert workloads.drawn(3, (3, 16, 12)).shape == (3, 3, 16, 12)


def test_a_gpu_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.fail("this test is about machines without a GPU; run make test-gpu here")
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cuda"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.strip().endswith("there is no cuda device here; use auto or cpu.")


def test_what_does_not_resume_exactly_is_named() -> None:
    """The check can fail: a resume that draws other noise is told from one that does not."""
    code = (
        "import sys, torch, vae_core.training.players as players\n"
        "def forget(self, state): self.load_modules(state['modules'])\n"
        "players.Players.load_state_dict = forget\n"
        "sys.argv = ['gpu', '--device', 'cpu', '--only', 'vae', '--workloads', '']\n"
        "import typer, benchmarks.gpu as gpu\n"
        "gpu.process.prepare = lambda: None\n"
        "typer.run(gpu.main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1 and "NO: [" in done.stdout
    assert done.stderr.strip().endswith("not resumed to the same weights: vae.")


def test_a_gpu_adds_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("benchmark", "deterministic"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        make_exact(torch.device("cpu"))
        assert torch.get_deterministic_debug_mode() == 0
        make_exact(torch.device("cuda"))
        assert torch.get_deterministic_debug_mode() == 1
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    finally:
        torch.set_deterministic_debug_mode("default")
        torch.utils.deterministic.fill_uninitialized_memory = filled


def test_a_gpu_is_called_by_the_name_of_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some Card 9000")
    assert describe(torch.device("cuda")) == "cuda (Some Card 9000)"
    assert describe(torch.device("cpu")) == "cpu"
    assert worker.describe is describe
