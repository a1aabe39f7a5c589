"""What our side of the training benchmark could reach: its steps, and nothing around them.

Our own model and objective go forward and backward, gradients are clipped where the run has that,
and its optimiser steps, on batches that lie in
memory as floats, in a process that is set up as a worker's. Beside it, how fast that process
multiplies large matrices, and how many operations an image takes.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.workloads import PARTS, config_of, part_of
from vae_core import process

SIDE, PRODUCTS = 2048, 7


def sgemm_gflops() -> float:
    """Products of two square float32 matrices: 10⁹ operations a second, the median of several."""
    import torch

    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    out = torch.mm(a, b)
    taken = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        taken.append(time.perf_counter() - start)
    return 2 * SIDE**3 / statistics.median(taken) / 1e9


def train(folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """As many steps as the run has, with changes of `train`: their seconds, images, and what they
    are held against."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from vae_core.data import ArrayImages, Dataset, ImageSet
    from vae_core.data.batches import epoch_batches
    from vae_core.families import build
    from vae_core.training.device import choose_device, choose_threads
    from vae_core.training.loop import Loop

    config = config_of(folder, **changes)
    torch.set_num_threads(choose_threads(config.train.threads))
    torch.manual_seed(config.train.seed)
    train_part, validation = (ImageSet(ArrayImages(part_of(folder, name))) for name in PARTS)
    dataset = Dataset("bench", train_part, validation)
    model, objective = build(config, dataset.image_shape)
    device = choose_device(config.train.device)
    model.to(device).to(memory_format=torch.channels_last)
    loop = Loop(config, dataset, model, objective.to(device))
    players = loop.players
    batches = [loop.batch(indices) for indices in epoch_batches(train_part, config.train, 0)]
    x, context = batches[0]
    with FlopCounterMode(display=False) as counter:
        players.dry_run(x, context)  # as a worker begins, too
    start = time.perf_counter()
    for _ in range(config.train.epochs):
        for x, context in batches:
            players.backward(x, context)
            for player, optimizer in players.optimizers.items():
                if players.clip is not None:
                    nn.utils.clip_grad_norm_(players.parameters[player], players.clip)
                optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "images": config.train.epochs * len(train_part),
        "flops_per_image": counter.get_total_flops() / len(batches[0][0]),
        "sgemm_gflops": sgemm_gflops(),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


if __name__ == "__main__":
    process.prepare()
    print(json.dumps(train(Path(sys.argv[1]), json.loads(sys.argv[3]))))
