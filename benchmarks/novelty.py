"""Which novelty score finds which kind of strange image: nines, other hands, negatives, noise.

A small VAE learns MNIST without its nines, once for every seed. Then test digits from 0 to 8 are
mixed with as many strange images of one kind, and every score says how strange each is. AUROC and
average precision (of which luck reaches one half) are averaged over the seeds.

    python -m benchmarks.novelty --json
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from vae_core.config import RunConfig, parse_config
from vae_core.data import ArrayImages, Dataset, ImageSet, load_dataset
from vae_core.data.hashes import content_hashes
from vae_core.data.images import subset
from vae_core.families import build, complete
from vae_core.latent.detection import detection
from vae_core.latent.novelty import PixelModel, Reference, examine, novelties, scores
from vae_core.latent.survey import Survey, survey
from vae_core.run_data import data_card
from vae_core.training.loop import Loop
from vae_core.types import Context

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
LEFT_OUT = 9
SHOWN_SIZE = 28

Kind = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""From normal test images uint8 [N, 1, 28, 28], those of the digit left out, and a seed, to
strange images."""


def other_hands(normal: np.ndarray, nines: np.ndarray, seed: int) -> np.ndarray:
    """Scikit-learn's digits from 0 to 8, of 8×8 pixels and sixteen greys, enlarged."""
    found = load_dataset(parse_config({"data": {"dataset": "digits", "image_size": 28}}).data)
    parts = [found.train, found.validation]
    images = np.concatenate([each.images.gather(np.arange(len(each))) for each in parts])
    labels = np.concatenate([each.labels for each in parts if each.labels is not None])
    return images[labels != LEFT_OUT]


def noise(normal: np.ndarray, nines: np.ndarray, seed: int) -> np.ndarray:
    """Every pixel any grey, by chance."""
    return np.random.default_rng(seed).integers(0, 256, normal.shape).astype(np.uint8)


KINDS: dict[str, Kind] = {
    "nines": lambda normal, nines, seed: nines,
    "other hands": other_hands,
    "bright and dark exchanged": lambda normal, nines, seed: 255 - normal,
    "noise": noise,
}


def without_nines(data_dir: Path, limit: int | None, seed: int) -> tuple[RunConfig, Dataset]:
    """MNIST, of which nothing that is learned from or validated on is a nine."""
    config = complete(
        parse_config({
            "data": {"dataset": "mnist", "data_dir": str(data_dir), "limit": limit},
            "model": {"latent_dim": 16},
            "train": {"seed": seed, "device": "cpu", "batch_size": 128},
        })
    )  # fmt: skip
    found = load_dataset(config.data)
    return config, replace(
        found, train=_digits(found.train, False), validation=_digits(found.validation, False)
    )


def _digits(part: ImageSet, nines: bool) -> ImageSet:
    assert part.labels is not None
    return subset(part, np.flatnonzero((part.labels == LEFT_OUT) == nines))


def measured(data_dir: Path, seed: int, epochs: int, limit: int | None) -> dict[str, Any]:
    """Train once; AUROC and average precision by kind and score: {kind: {score: (…, …)}}."""
    config, dataset = without_nines(data_dir, limit, seed)
    config = config.updated({"train": {"epochs": epochs}})
    torch.manual_seed(seed)
    model, objective = build(config, data_card(dataset))
    model.to(memory_format=torch.channels_last)
    loop = Loop(config, dataset, model, objective)
    for _ in loop.run():
        pass
    context = Context(loop.step, train_images=len(dataset.train))

    def look(part: ImageSet, split: str) -> Survey:
        hashed = replace(part, labels=None, hashes=content_hashes(part.images))
        return survey(model, objective, hashed, (), split, context)

    density = model.likelihood.is_density
    pixels = PixelModel.fit(dataset.train.images, density)
    reference = Reference(look(dataset.train, "train"), pixels)

    def scored(part: ImageSet) -> dict[str, np.ndarray]:
        return scores(examine(look(part, "new"), part.images, reference))

    assert dataset.test is not None
    normal, nines = _digits(dataset.test, False), _digits(dataset.test, True)
    shown = [part.images.gather(np.arange(len(part))) for part in (normal, nines)]
    usual = scored(normal)
    rng = np.random.default_rng(seed)
    found = {}
    for kind, make in KINDS.items():
        strange = make(shown[0], shown[1], seed)
        told = scored(ImageSet(ArrayImages(strange)))
        count = min(len(strange), len(normal))
        rows = rng.permutation(len(normal))[:count], rng.permutation(len(strange))[:count]
        flags = np.repeat([False, True], count)
        found[kind] = {
            name: detection(np.concatenate([usual[name][rows[0]], told[name][rows[1]]]), flags)
            for name in usual
        }
    return found


def summary(each: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and range over seeds of both figures, by kind and score."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for kind in KINDS:
        result[kind] = {}
        for name in each[0][kind]:
            auroc = [found[kind][name].auroc for found in each]
            precision = [found[kind][name].average_precision for found in each]
            result[kind][name] = {
                "auroc": round(statistics.mean(auroc), 3),
                "lowest": round(min(auroc), 3),
                "highest": round(max(auroc), 3),
                "average_precision": round(statistics.mean(precision), 3),
            }
    return result


def as_table(result: dict[str, dict[str, dict[str, float]]]) -> str:
    """The AUROCs as Markdown, the best score of every kind in bold."""
    kinds = [*result]
    best = {kind: max(found["auroc"] for found in result[kind].values()) for kind in kinds}
    lines = [f"| AUROC | {' | '.join(kinds)} |", f"| --- |{' --- |' * len(kinds)}"]
    for name in result[kinds[0]]:
        cells = [f"{result[kind][name]['auroc']:.3f}" for kind in kinds]
        marked = [
            f"**{cell}**" if result[kind][name]["auroc"] == best[kind] else cell
            for kind, cell in zip(kinds, cells, strict=True)
        ]
        lines.append(f"| {novelties[name].label} | {' | '.join(marked)} |")
    return "\n".join(lines)


def main(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images in each.")] = 8,
    limit: Annotated[
        int | None, typer.Option(min=1000, help="Training images; all without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare novelty scores on images that a VAE of nine digits has not learned."""
    folder = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    each = []
    for seed in range(seeds):
        each.append(measured(folder, seed, epochs, limit))
        told = ", ".join(f"{name} {found.auroc:.3f}" for name, found in each[-1]["nines"].items())
        print(f"seed {seed}, nines: {told}", file=sys.stderr, flush=True)
    result = summary(each)
    if as_json:
        print(json.dumps({
            "workload": f"VAE of 16 latents, MNIST without nines, {epochs} epochs",
            "limit": limit,
            "seeds": seeds,
            "scores": result,
            "torch": version("torch"),
        }, indent=2))  # fmt: skip
        return
    print(as_table(result))


if __name__ == "__main__":
    typer.run(main)
