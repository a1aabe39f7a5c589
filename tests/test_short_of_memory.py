"""Memory that is short is one sentence with a batch that fits; the limit is the system's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import make_loop
from tests.test_soundness import config_of
from vae_core.errors import is_out_of_memory
from vae_core.runs import Run, Store
from vae_core.training.memory import MemoryBudget, measure_memory

ROOT = Path(__file__).parent.parent


def trained_within(
    store: Path, name: str, backbone: str, batch: int, megabytes: int, event: str
) -> tuple[Run, str]:
    limits = [backbone, str(batch), str(megabytes), event]
    done = subprocess.run(
        [sys.executable, "-m", "tests.short_of_memory", str(store), name, *limits],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Store(store).get(name), done.stdout.splitlines()[-1]


def test_a_batch_that_cannot_fit_is_refused_and_the_one_suggested_fits(tmp_path: Path) -> None:
    """Before the first step: where a system promises more than it has, it kills without a word."""
    run, said = trained_within(tmp_path, "large", "conv", 1024, 400, "begin")
    found = re.fullmatch(
        r"A step on 1024 images needs at least (\d+) MB of memory, and (\d+) MB are free\. Train "
        r"again with train\.batch_size=(\d+), or with train\.accumulate=4 for the same batches, "
        r"or free memory and resume\. Nothing had been saved yet\.",
        said,
    )
    assert found is not None, said
    needed, free, suggested = map(int, found.groups())
    assert needed > free and suggested == 256
    assert run.status().state == "failed" and run.status().message == said
    again, said = trained_within(tmp_path, "small", "conv", suggested, 400, "begin")
    assert said == "finished" and again.status().state == "finished"


def test_memory_that_is_refused_in_a_step_is_a_sentence_too(tmp_path: Path) -> None:
    """Taken by somebody else once training had begun."""
    run, said = trained_within(tmp_path, "later", "mlp", 256, 4, "Previewed")
    assert said.startswith("There is not enough memory for a step on 256 images"), said
    assert "train.batch_size=128, or with train.accumulate=2 for the same batches, or free" in said
    assert run.status().state == "failed" and run.status().message == said


@pytest.mark.parametrize("family", ["vae", "vq-vae", "factor-vae", "vamp", "stacked-denoising"])
def test_what_a_step_needs_is_counted_without_a_trace(family: str) -> None:
    counting, plain = make_loop(config_of(family)), make_loop(config_of(family))
    counting.model.train()
    budget = measure_memory(
        lambda n: counting.players.dry_run(*counting.batch(np.arange(n))), counting.device
    )
    assert 0 < budget.per_image < 1e8 and budget.free > 1e8
    for loop in (counting, plain):
        loop.check_memory = lambda: budget  # type: ignore[method-assign]
        torch.manual_seed(7)
        *_, _ = loop.run()
    ours, theirs = (loop.model.state_dict() for loop in (counting, plain))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_the_batch_that_is_suggested_is_the_largest_that_surely_fits() -> None:
    budget = MemoryBudget(per_image=1e7, free=1e9)
    assert budget.refusal(64) == "" and "train.batch_size=32" in budget.refusal(128)
    assert "at least 1.6 GB" in budget.refusal(128) and "1.0 GB are free" in budget.refusal(128)
    assert "smaller network or smaller images" in MemoryBudget(1e9, 1e8).refusal(8)
    assert "accumulate" not in budget.refusal(128), "it looks at whole batches"
    parted = MemoryBudget(per_image=1e7, free=1e9, shares=2, parts=2)
    assert "train.batch_size=64, or with train.accumulate=8 for" in parted.refusal(256)


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_libraries_say_of_it_is_understood(error: Exception, short: bool) -> None:
    assert is_out_of_memory(error) is short
