"""Small real ingredients for tests of the engine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from vae_core.config import RunConfig, parse_config
from vae_core.data import Dataset, load_dataset
from vae_core.families import build, complete
from vae_core.runs import Run, Store
from vae_core.training.loop import Loop
from vae_core.training.worker import data_card, work

TINY: dict[str, Any] = {
    "data": {"dataset": "digits", "image_size": 16, "limit": 300},
    "model": {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 32}},
    "train": {"epochs": 2, "batch_size": 64, "threads": 1, "log_every": 2, "device": "cpu"},
}


def tiny(**changes: Any) -> RunConfig:
    """A run of ten steps on digits: `changes` as `RunConfig.updated` takes them."""
    return complete(parse_config(TINY).updated(changes))


def make_loop(config: RunConfig, state: Any = None, dataset: Dataset | None = None) -> Loop:
    """The loop as the worker puts it together."""
    torch.manual_seed(config.train.seed)
    dataset = dataset or load_dataset(config.data)
    model, objective = build(config, data_card(dataset))
    model.to(memory_format=torch.channels_last)
    loop = Loop(config, dataset, model, objective, state)
    loop.max_window_s = math.inf  # what is recorded shall not depend on the machine's speed
    return loop


def trained(tmp_path: Path, name: str = "tiny", **changes: Any) -> Run:
    """A finished tiny run in a store of its own."""
    run = Store(tmp_path).create(name, tiny(**changes))
    work(run)
    return run
