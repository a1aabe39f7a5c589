"""Milliseconds of one core from latents to pictures: decoders as they were trained, and folded as
the server decodes with them (`vae_core.models.folded`).

The shipped MNIST model, and untrained networks whose batch norms have seen something: their speed
does not depend on their weights. Both take turns; the median of the rounds of each is printed, the
ratio of the two, how long folding takes, and by how many of 255 levels any pixel differs.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.app import SIZED
from vae_core.config import parse_config
from vae_core.families import build, complete
from vae_core.latent.grids import decode_vectors
from vae_core.loading import load_run
from vae_core.locations import DEFAULT_STORE
from vae_core.models import LatentModel
from vae_core.models.folded import fold
from vae_core.runs import DataCard, Store

NORMALISED = {
    "conv-bn-1m": {"backbone": "conv-bn", "size": 32, "latent": 64},
    "deep-conv-2m": {"backbone": "deep-conv", "size": 64, "latent": 128},
}
PICTURES = (1, 14, 100)
"""Under a hand; two filmstrips; a batch of a grid."""


def untrained(
    size: int, latent: int, channels: list[int] | None = None, backbone: str = "conv"
) -> LatentModel:
    """A VAE for colour images of `size` × `size`, in evaluation mode."""
    torch.manual_seed(0)
    options = {} if channels is None else {"channels": channels}
    settings = {"latent_dim": latent, "backbone": backbone, "options": options}
    card = DataCard(dataset="drawn", image_shape=(3, size, size), n_train=100, n_validation=10)
    model = build(complete(parse_config({"family": "vae", "model": settings})), card)[0]
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return model.eval()


def cpu_ms(model: LatentModel, vectors: np.ndarray) -> float:
    """Of one call, over calls that take 50 ms together at least."""
    calls, start = 0, time.process_time()
    while (taken := time.process_time() - start) < 0.05:
        decode_vectors(model, vectors)
        calls += 1
    return 1e3 * taken / calls


def compared(model: LatentModel, rounds: int) -> dict[str, Any]:
    """Both ways of decoding with a model, in turns."""
    model.to(memory_format=torch.channels_last)
    folded = copy.deepcopy(model)
    start = time.process_time()
    fold(folded)
    folding = 1e3 * (time.process_time() - start)
    result: dict[str, Any] = {
        "weights": sum(weight.numel() for weight in model.decoder.parameters()),
        "folding_ms": round(folding, 1),
    }
    noise = np.random.default_rng(0)
    for count in PICTURES:
        vectors = noise.standard_normal((count, model.latent_size), np.float32)
        a, b = (decode_vectors(each, vectors).astype(int) for each in (model, folded))
        taken = [[cpu_ms(each, vectors) for each in (model, folded)] for _ in range(rounds)]
        before, after = (statistics.median(column) for column in zip(*taken, strict=True))
        result[f"pictures_{count}"] = {
            "ms": round(before, 2),
            "folded_ms": round(after, 2),
            "ratio": round(before / after, 2),
            "levels": int(np.abs(a - b).max()),
        }
    return result


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 9,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare decoders with folded ones."""
    torch.set_num_threads(1)
    models = {"mnist-vae": load_run(Store(DEFAULT_STORE).get("mnist-vae")).model}
    models |= {name: untrained(**sized) for name, sized in (SIZED | NORMALISED).items()}  # type: ignore[arg-type]
    result = {name: compared(model, rounds) for name, model in models.items()}
    if as_json:
        about = {"torch": version("torch"), "cpu": torch.backends.cpu.get_cpu_capability()}
        print(json.dumps({"models": result} | about, indent=2))
        return
    for name, figures in result.items():
        for count in PICTURES:
            ms = figures[f"pictures_{count}"]
            print(
                f"{name:>13}, {count:>3} at once: {ms['ms']} ms, folded {ms['folded_ms']} "
                f"(× {ms['ratio']}), {ms['levels']} levels off"
            )


if __name__ == "__main__":
    typer.run(main)
