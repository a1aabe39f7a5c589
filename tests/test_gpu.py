"""`make test-gpu` takes the same way on the CPU, in tiny sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_families import FAMILIES
from vae_core.training import worker
from vae_core.training.device import describe, make_exact

ROOT = Path(__file__).resolve().parent.parent


def test_the_way_of_a_gpu_is_taken_on_the_cpu() -> None:
    """Every family resumes to the same bits, and our worker and a tutorial's loop train both
    networks; their figures say nothing here."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["device"] == "cpu" and told["tiny"]
    assert [row["family"] for row in told["families"]] == FAMILIES
    for row in told["families"]:
        assert row["ok"] and row["differ"] == [] and 0 < row["resumed_at"] < row["steps"] == 6
    assert told["workloads"].keys() == {"W1", "W3"}
    for each in told["workloads"].values():
        assert each["ours"] > 0 and each["tutorial"] > 0 and each["ratio_tutorial"] > 0


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
