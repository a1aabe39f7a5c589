"""Small real ingredients for tests of the engine."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from vae_core.config import DataConfig, RunConfig, parse_config
from vae_core.data import Dataset, load_dataset
from vae_core.families import build, complete
from vae_core.run_data import data_card
from vae_core.runs import Run, Store
from vae_core.training.distributed import ALONE, Distributed
from vae_core.training.loop import Loop
from vae_core.training.worker import work

# fmt: off
TINY: dict[str, Any] = {
    "data": {"dataset": "digits", "image_size": 16, "limit": 300},
    "model": {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 32}},
    "train": {
        "epochs": 2, "batch_size": 64, "threads": 1, "log_every": 2, "device": "cpu",
        "precision": "fp32",
    },
}
# fmt: on
"""In fp32, whatever the machine: tests shall not depend on what is faster there."""


def tiny(**changes: Any) -> RunConfig:
    """A run of ten steps on digits: `changes` as `RunConfig.updated` takes them."""
    return complete(parse_config(TINY).updated(changes))


@cache
def built_in(data: DataConfig) -> Dataset:
    """A data set that needs no files, prepared once: nobody changes its images."""
    return load_dataset(data)


def make_loop(
    config: RunConfig,
    state: Any = None,
    dataset: Dataset | None = None,
    group: Distributed = ALONE,
) -> Loop:
    """The loop as the worker puts it together."""
    torch.manual_seed(config.train.seed)
    if dataset is None:
        dataset = (built_in if config.data.dataset == "digits" else load_dataset)(config.data)
    model, objective = build(config, data_card(dataset))
    model.to(memory_format=torch.channels_last)
    loop = Loop(config, dataset, model, objective, state, group=group)
    loop.max_window_s = math.inf  # what is recorded shall not depend on the machine's speed
    return loop


SHARED = "VAE_TEST_SHARED"
"""Names the folder that all processes of one test session share (tests/conftest.py)."""


def trained(tmp_path: Path, name: str = "tiny", **changes: Any) -> Run:
    """A finished tiny run in a store of its own that no process works on.

    Equal settings are trained once a session, by whoever asks first; everybody has a copy.
    """
    config = tiny(**changes)
    shared = Path(os.environ[SHARED])
    key = hashlib.blake2b(config.to_json().encode(), digest_size=8).hexdigest()
    with FileLock(shared / f"{key}.lock"):
        if not (shared / key).exists():
            run = Store(shared / "training").create(key, config)
            work(run)
            run.file("job.json").unlink()  # it names this process, which goes on living
            run.path.rename(shared / key)
    # With a date of its own: of two runs the one that was asked for later is the newer.
    shutil.copytree(shared / key, tmp_path / name, copy_function=shutil.copyfile)
    return Store(tmp_path).get(name)
