"""What a save costs: of every recipe, how long training stands still for its copy, how long a
thread then writes it, and the share of the time that is.

Each recipe's network, objective and optimisers are built at the recipe's own image size, and their
save (weights, training state, the best weights too) is written where runs are, fsync included. By
default a save comes every 30 s, or seldomer where writing it would take more than 1 % of the time.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from vae_core.config import TrainConfig
from vae_core.families import build, complete
from vae_core.presets import presets
from vae_core.presets.preset import Preset
from vae_core.runs import BEST, STATE, WEIGHTS, DataCard, Store
from vae_core.schedules import Span
from vae_core.training.checkpoint import MAX_SHARE, copied, save_checkpoint
from vae_core.training.events import Checkpoint
from vae_core.training.players import Players


def cost_of(preset: Preset, store: Store, times: int) -> dict[str, Any]:
    """Median seconds of a copy, median and longest of a save, and what they come to."""
    config = complete(preset.config)
    card = DataCard(
        dataset=config.data.dataset, image_shape=preset.image_shape, n_train=60_000, n_validation=99
    )
    model, objective = build(config, card)
    model.to(memory_format=torch.channels_last)
    players = Players(config.train, model, objective, Span(1000, 100, 1.0))
    run, took, stood = store.create(preset.name, config), [], []
    for step in range(1, times + 1):
        best = {"step": step, "total": 1.0, "controls": {}}
        state = {"step": step, "seconds": 1.0, "best": best, **players.state_dict()}
        best_weights = copied(Checkpoint(step, 1, 1.0, players.modules())).state
        started = time.monotonic()
        checkpoint = copied(Checkpoint(step, 1, 1.0, state, best_weights))
        stood.append(time.monotonic() - started)
        started = time.monotonic()
        save_checkpoint(run, checkpoint)
        took.append(time.monotonic() - started)
    seconds = statistics.median(took)
    every_s = max(TrainConfig().save_every_s or 0.0, seconds / MAX_SHARE)
    written = sum(run.file(name).stat().st_size for name in (BEST, STATE, WEIGHTS))
    return {
        "preset": preset.name,
        "weights": model.weight_count(),
        "megabytes": round(written / 1e6, 1),
        "stands_still": round(statistics.median(stood), 4),
        "seconds": round(seconds, 3),
        "longest": round(max(took), 3),
        "every_s": round(every_s, 1),
        "share": round(seconds / every_s, 4),
    }


def main(
    times: Annotated[int, typer.Option(min=1, help="Saves of each recipe.")] = 5,
    place: Annotated[Path | None, typer.Option(help="Folder to write into.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure what saving costs with each recipe."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        found = []
        for preset in presets:
            found.append(cost_of(preset, Store(folder), times))
            row = found[-1]
            print(
                f"{row['preset']:<16} {row['weights']:>10,} weights, {row['megabytes']:>6} MB: "
                f"{row['stands_still']:.4f} s, then {row['seconds']:.3f} s "
                f"(longest {row['longest']:.3f}), "
                f"every {row['every_s']:.0f} s: {100 * row['share']:.2f} %",
                file=sys.stderr,
                flush=True,
            )
    if as_json:
        about = {"cores": os.cpu_count(), "machine": platform.machine(), "torch": torch.__version__}
        print(json.dumps({"presets": found, **about}, indent=2))


if __name__ == "__main__":
    typer.run(main)
