"""Seconds behind Grids and Encodings: encoding a whole data set, fitting directions, decoding; and
what a person waits for where a browser shows 70 000 points.

The shipped MNIST model on all of MNIST, with the threads that a background process has; grids on
one thread, as the app decodes them. The network for 64×64 colour images is untrained: its speed
does not depend on its weights.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.training import ROOT, SHARED
from benchmarks.views_page import page_of_points
from vae_core import process
from vae_core.runs import Store

SIDE = 20
DIMENSIONS = 128


def seconds(work: Callable[[], Any], rounds: int) -> dict[str, Any]:
    """The median and every single measurement, after one that is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return {"seconds": round(statistics.median(taken), 4), "rounds": [round(t, 4) for t in taken]}


def encoding(data_dir: Path, images: int, rounds: int) -> dict[str, Any]:
    """Posterior means alone, and with the reconstruction error and KL of every image."""
    import numpy as np
    import torch

    from vae_core.data.images import subset
    from vae_core.latent.encodings import encode
    from vae_core.latent.survey import survey
    from vae_core.loading import load_part, load_run
    from vae_core.types import Context

    run = Store(ROOT / "trained_models").get("mnist-vae")
    loaded = load_run(run)
    loaded.model.to(memory_format=torch.channels_last)
    whole = load_part(run, "train", str(data_dir))[1]
    chosen = subset(whole, np.arange(min(images, len(whole))))
    context = Context(loaded.step)
    ways: dict[str, Callable[[], Any]] = {
        "encode": lambda: encode(loaded.model, chosen),
        "survey": lambda: survey(loaded.model, loaded.objective, chosen, (), "train", context),
    }
    return {
        name: {"images": len(chosen), "threads": torch.get_num_threads(), **seconds(way, rounds)}
        for name, way in ways.items()
    }


def directions(images: int, rounds: int) -> dict[str, Any]:
    """Principal directions of as many encodings of 128 dimensions."""
    import numpy as np

    from vae_core.latent.directions import principal_directions

    mu = np.random.default_rng(0).normal(size=(images, DIMENSIONS)).astype(np.float32)
    return {"images": images, **seconds(lambda: principal_directions(mu), rounds)}


def grids(rounds: int) -> dict[str, Any]:
    """A grid of 20×20 pictures on one thread, of MNIST and of 64×64 colour images."""
    import numpy as np
    import torch

    from vae_core.config import parse_config
    from vae_core.families import build, complete
    from vae_core.latent.grids import decode_vectors, plane_vectors, quantile_values
    from vae_core.loading import load_run
    from vae_core.runs import DataCard

    config = complete(parse_config({"family": "vae", "model": {"latent_dim": 32}}))
    card = DataCard(dataset="none", image_shape=(3, 64, 64), n_train=1, n_validation=1)
    models = {
        "1×28×28": load_run(Store(ROOT / "trained_models").get("mnist-vae")).model,
        "3×64×64": build(config, card)[0].eval(),
    }
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    values, found = quantile_values(SIDE), {}
    for name, model in models.items():
        model.to(memory_format=torch.channels_last)
        first, second = np.eye(model.latent_size, dtype=np.float32)[:2]
        center = np.zeros(model.latent_size, np.float32)
        vectors = plane_vectors(center, first, second, values).reshape(-1, model.latent_size)
        draw = lambda: decode_vectors(model, vectors)  # noqa: B023, E731
        found[name] = {"weights": model.weight_count(), **seconds(draw, rounds)}
    torch.set_num_threads(before)
    return found


def main(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Images to encode.")] = 60_000,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 5,
    page: Annotated[bool, typer.Option(help="Measure Encodings in a browser too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure what the pages that show the latent space wait for."""
    process.prepare()
    data_dir = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    if not (data_dir / "MNIST" / "raw").is_dir():
        print(f"error: there is no MNIST in {data_dir}; name its folder.", file=sys.stderr)
        raise SystemExit(2)
    result: dict[str, Any] = encoding(data_dir.resolve(), images, rounds)
    result["principal_directions"] = directions(images, rounds)
    result |= {f"grid 20×20 of {name}": found for name, found in grids(rounds).items()}
    shown = page_of_points(rounds) if page else None
    if not as_json:
        for name, found in result.items():
            print(f"{name:>24}: {found['seconds']:.3f} s")
        if shown is not None:
            print(f"{shown['points']} points: {json.dumps(shown, indent=2)}")
        return
    result |= {
        "page": shown,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "torch": version("torch"),
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
