"""Every family from a configuration to a loaded run, measured in both modes.

Each is trained by the worker on scikit-learn's digits, with its default backbone and settings. Its
loss on the training images, in nats per image, is measured in training and in evaluation mode, in
batches as trained, and once more after the run was loaded from its folder.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process


def measured(family: str, store: Path, epochs: int, images: int) -> dict[str, Any]:
    """One row: weights, and the three losses of a family trained so long."""
    from vae_core.config import parse_config
    from vae_core.families import build, complete
    from vae_core.loading import load_part, load_run
    from vae_core.runs import Store
    from vae_core.training.checkpoint import load_state
    from vae_core.training.worker import work

    values = {
        "family": family,
        "data": {"dataset": "digits", "image_size": 16, "limit": images},
        "train": {"epochs": epochs, "batch_size": 64, "threads": 1, "device": "cpu"},
    }
    run = Store(store).create(family, complete(parse_config(values)))
    work(run)
    loaded = load_run(run)
    _, part = load_part(run, "train")
    # What training left: network and objective as they were, critics included.
    model, objective = build(loaded.config, loaded.card)
    state = load_state(run)
    assert state is not None
    model.load_state_dict(state["modules"]["model"])
    objective.load_state_dict(state["modules"]["objective"])

    def loss(model: Any, objective: Any, training: bool) -> float:
        model, objective = copy.deepcopy((model, objective))
        model.train(training), objective.train(training)
        return sum(_losses(model, objective, part, loaded.step)) / len(part)

    found = {
        "train": loss(model, objective, True),
        "eval": loss(model, objective, False),
        "loaded": loss(loaded.model, loaded.objective, False),
    }
    losses = {name: round(value, 3) for name, value in found.items()}
    return {"family": family, "weights": model.weight_count(), **losses}


def _losses(model: Any, objective: Any, part: Any, step: int) -> Iterator[float]:
    """The model's total of each batch times its images, nothing trained."""
    import torch

    from vae_core.data.batches import labelled
    from vae_core.objective import MODEL
    from vae_core.types import Context, total

    noise = torch.Generator().manual_seed(0)
    for x, labels in labelled(part, 64, model.device):
        context = Context(step, noise, {}, labels, len(part), step)
        with torch.no_grad():
            losses = objective.losses(x, objective(model, x, context), context)
        yield float(total(losses[MODEL]).detach()) * len(x)


def main(
    epochs: Annotated[int, typer.Option(min=1, help="Of each family.")] = 8,
    images: Annotated[int, typer.Option(min=64, help="Of the training part.")] = 512,
    only: Annotated[str, typer.Option(help="Families, by commas; else all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train, evaluate in both modes, save, load and evaluate again."""
    process.prepare()
    from vae_core.cli.options import print_table
    from vae_core.families import families

    names = only.split(",") if only else [entry.name for entry in families]
    with tempfile.TemporaryDirectory() as store:
        rows = [measured(name, Path(store), epochs, images) for name in names]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    head = ("family", "weights", "train mode", "eval mode", "loaded", "eval − train")
    cells = [
        (
            row["family"],
            str(row["weights"]),
            *(f"{row[key]:.2f}" for key in ("train", "eval", "loaded")),
            f"{row['eval'] - row['train']:+.2f}",
        )
        for row in rows
    ]
    print_table([head, *cells])


if __name__ == "__main__":
    typer.run(main)
