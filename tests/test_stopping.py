"""Stopped means stopped within two seconds and paused that nothing is computed, in every phase."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine import tiny, trained
from tests.killed import equal
from vae_core.completion import complete, is_complete
from vae_core.errors import UserError
from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import encoded_step
from vae_core.runs import Run, Store
from vae_core.training import jobs
from vae_core.training.worker import work

ROOT = Path(__file__).parent.parent
WITHIN_S = 2.0


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of workers that were stopped in each phase, see `tests/stopped.py`."""
    place = tmp_path_factory.mktemp("stopped")
    environment = os.environ | {"VAE_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.stopped", str(place / "store")]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return {
        line["phase"] + " " + line["way"]: line
        for line in map(json.loads, done.stdout.splitlines())
    }


PHASES = (
    "starting stop", "starting SIGTERM", "preparing stop", "first step SIGTERM", "validation stop",
    "encoding SIGTERM", "measuring stop",
)  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_stopped_within_two_seconds(phase: str, phases: dict[str, dict[str, Any]]) -> None:
    found = phases[phase]
    assert found["seconds"] < WITHIN_S, found
    assert found["state"] == "stopped"
    kept = f"weights of step {found['weights']}" if found["weights"] else "Nothing had been saved"
    assert kept in found["message"] or "the weights are kept" in found["message"], found


@pytest.mark.parametrize("phase", PHASES)
def test_a_paused_worker_leaves_the_cores_to_others(
    phase: str, phases: dict[str, dict[str, Any]]
) -> None:
    assert phases[phase]["paused"] < 0.02


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nobody disturbed."""
    return trained(tmp_path_factory.mktemp("whole"), "whole", train={"epochs": 1})


def told_at(run: Run, words: str, *commands: str, times: int = 1) -> Any:
    """A progress that sends commands to the run when it hears certain words."""
    left = times

    def progress(message: str, share: float | None) -> None:
        nonlocal left
        if message == words and left:
            left -= 1
            for command in commands:
                jobs.send(run, {"command": command})

    return progress


AFTER = (
    "Encoding the images",
    "Drawing the thumbnails",
    "Measuring the images",
    "Finding the directions",
)


@pytest.mark.parametrize("words", AFTER)
def test_what_a_stop_leaves_out_resume_makes(words: str, whole: Run, tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", tiny(train={"epochs": 1}))
    ended = work(run, progress=told_at(run, words, "stop"))
    assert not ended.finished and run.status().state == "stopped"
    assert run.status().step == run.status().total_steps and words in run.status().message
    assert work(run).finished
    assert run.status().state == "finished" and run.status().message == ""
    assert equal(run, whole) and run.summary()["step"] == run.weights_step()
    assert run.summary()["recon"] == whole.summary()["recon"]
    assert load_directions(run, encoded_step(run) or 0) is not None


def test_what_a_stop_leaves_out_is_made_when_somebody_asks(tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", tiny())
    work(run, progress=told_at(run, "Encoding the images", "stop"))
    assert run.weights_step() == 10 and not is_complete(run) and run.summary() == {}
    complete(run)
    assert is_complete(run) and encoded_step(run) == 10 and run.summary()["step"] == 10
    assert run.file("thumbnail.png").exists() and load_directions(run, 10) is not None
    measured = run.summary()
    assert run.status().state == "stopped"
    assert work(run).finished
    (*_, last) = [r for r in run.history()[0] if r["kind"] == "validation"]
    assert measured["recon"] == pytest.approx(last["terms"]["recon"], rel=1e-2)


def test_nothing_is_completed_beside_a_worker(tmp_path: Path) -> None:
    run = trained(tmp_path)
    with Run(run.path).lock(), pytest.raises(UserError, match="being trained"):
        complete(run)


def test_a_run_that_was_paused_before_it_began_is_the_same(whole: Run, tmp_path: Path) -> None:
    run = Store(tmp_path).create("tiny", tiny(train={"epochs": 1}))
    jobs.send(run, {"command": "save"})
    progress = told_at(run, "Preparing the images", "pause", "save", "resume")
    assert work(run, progress=progress, offset=0).finished
    assert equal(run, whole)
    saved = [r["step"] for r in run.history()[0] if r["kind"] == "checkpoint"]
    assert saved[0] == 0, "what was asked during the preparation is done with the first step"
