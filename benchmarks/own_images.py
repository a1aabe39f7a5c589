"""A person's own images, trained with nothing set, against a fixed 30 epochs.

Four collections are drawn (`benchmarks/collections_drawn.py`) and learned twice: as the app begins
with them, all left to the data (`vae_core/auto.py`), and by what was fixed before that: 30 epochs,
batch 64 (all images where there are fewer), 64 latents, no augmentation. Both on the same images in
the same parts, with the same likelihood, so that nats compare; measured on the validation part.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process

FIXED = {"epochs": 30, "early_stopping_patience": 0, "augmentation": "none"}
BATCH, LATENTS = 64, 64
SHOWN = 12


def begin(folder: Path, settings: list[str]) -> Any:
    """The configuration that the command line begins with for a folder of images."""
    from vae_core.cli.train import config_from
    from vae_core.families import complete

    return complete(config_from(None, None, "folder", str(folder), None, settings))


def fixed(resolved: Any, images: int) -> Any:
    """As before: the same images and likelihood, and everything else fixed."""
    train = FIXED | {"batch_size": min(BATCH, images)}
    return resolved.updated({"model": {"latent_dim": LATENTS}, "train": train})


def train(store: Path, name: str, config: Any) -> tuple[Any, dict[str, Any]]:
    """The finished run and what was measured of it."""
    from vae_core.runs import Store
    from vae_core.training.worker import work

    run = Store(store).create(name, config)
    began = time.perf_counter()
    ended = work(run)
    seconds = time.perf_counter() - began
    summary, settings = run.summary(), run.config()
    measured = {key: summary[key] for key in ("elbo", "recon", "kl", "mse", "bits_per_dim")}
    about = {
        "epochs": settings.train.epochs,
        "steps": ended.step,
        "batch": settings.train.batch_size,
        "latents": settings.model.latent_dim,
        "active": summary["active_units"],
        "images": run.data_card().n_train,
        "held_out": summary["images"],
        "shape": run.data_card().image_shape,
        "seconds": round(seconds, 1),
    }
    return run, measured | about


def sheet(runs: list[Any], path: Path) -> None:
    """A picture: held-out images, and below them what each run makes of them."""
    import numpy as np
    import torch

    from vae_core.data.batches import as_floats
    from vae_core.imaging.png import tile, to_bytes, to_png
    from vae_core.loading import load_part, load_run

    _, part = load_part(runs[0], "validation")
    images = part.images.gather(np.arange(min(SHOWN, len(part))))
    rows = [images]
    for run in runs:
        model = load_run(run).model
        with torch.inference_mode():
            x = as_floats(images, model.device)
            rows.append(to_bytes(model.picture(model.decode(model.encode(x).mode()))))
    path.write_bytes(to_png(tile(np.concatenate(rows), len(images))))


def main(
    only: Annotated[str, typer.Option(help="Collections, by commas; else all.")] = "",
    share: Annotated[float, typer.Option(help="Of each collection's images.")] = 1.0,
    settings: Annotated[
        list[str], typer.Option("--set", help="A setting of the run that decides by itself.")
    ] = [],  # noqa: B006 — typer wants a list and copies it
    out: Annotated[Path | None, typer.Option(help="Folder for runs and sheets.")] = None,
    threads: Annotated[int, typer.Option(help="Of a training.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train each collection both ways; a sheet of reconstructions of each comes with --out."""
    process.prepare()
    from benchmarks.collections_drawn import COLLECTIONS, write
    from vae_core.cli.options import print_table

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        place = out or Path(temporary)
        for name in only.split(",") if only else COLLECTIONS:
            short = name.replace(" ", "-")
            folder = place / "images" / short
            write(name, folder, share)
            asked = [*settings, f"train.threads={threads}"]
            by_itself, found = train(place / "runs", f"{short}-auto", begin(folder, asked))
            rows.append({"collection": name, "how": "auto", **found})
            config = fixed(by_itself.config(), found["images"])
            before, found = train(place / "runs", f"{short}-fixed", config)
            rows.append({"collection": name, "how": "fixed", **found})
            sheet([by_itself, before], place / f"{short}.png")
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print_table([tuple(rows[0]), *(tuple(_cell(value) for value in row.values()) for row in rows)])


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    typer.run(main)
