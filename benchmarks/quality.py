"""What every measure of pictures says of generators whose fault is known.

A generator is given half of the training images of a data set and held against its validation
images; the other half, which nobody has seen, are the pictures of a perfect one. A measure tells a
fault where its interval has nothing in common with that of the perfect generator.

    python -m benchmarks.quality --json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.ndimage import gaussian_filter

from vae_core.config import DataConfig
from vae_core.data import Dataset, ImageSet, load_dataset
from vae_core.data.hashes import hash_rows
from vae_core.data.images import drawn, subset
from vae_core.metrics.quality import AUTO, Estimate, Features, Figures, Reference, compare
from vae_core.metrics.quality.features import features_of

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
MEASURES = ("fid", "kid", "precision", "recall", "density", "coverage", "copying", "authenticity")
BATCH = 256


def perfect(unseen: ImageSet, training: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images of the same kind that nobody has seen."""
    return unseen.images.gather(np.arange(len(unseen)))


def memoriser(unseen: ImageSet, training: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Training images, drawn with replacement."""
    return training[random.integers(0, len(training), len(unseen))]


def half_memoriser(
    unseen: ImageSet, training: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Every second picture is a training image."""
    new, copies = perfect(unseen, training, random), memoriser(unseen, training, random)
    return np.where((np.arange(len(new)) % 2 == 0)[:, None, None, None], new, copies)


def noisy_memoriser(
    unseen: ImageSet, training: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Training images under noise of four grey levels: no picture is an exact copy."""
    return _noisy(memoriser(unseen, training, random), 4, random)


def half_of_the_labels(
    unseen: ImageSet, training: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Unseen images of half of the labels: some modes are missing."""
    assert unseen.labels is not None
    known = np.unique(unseen.labels)
    rows = np.flatnonzero(np.isin(unseen.labels, known[: (len(known) + 1) // 2]))
    return unseen.images.gather(rows)


def collapsed(unseen: ImageSet, training: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One picture, again and again."""
    return unseen.images.gather(np.zeros(len(unseen), np.int64))


def blurry(unseen: ImageSet, training: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Unseen images through a Gaussian of a twentieth of the side, about 1.4 px of 28."""
    pictures = perfect(unseen, training, random).astype(np.float32)
    width = pictures.shape[-1] / 20
    return np.rint(gaussian_filter(pictures, (0, 0, width, width))).astype(np.uint8)


def noisy(unseen: ImageSet, training: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Unseen images under noise of 25 grey levels."""
    return _noisy(perfect(unseen, training, random), 25, random)


def _noisy(pictures: np.ndarray, levels: float, random: np.random.Generator) -> np.ndarray:
    shifted = pictures + random.normal(0, levels, pictures.shape)
    return np.clip(np.rint(shifted), 0, 255).astype(np.uint8)


Case = Callable[[ImageSet, np.ndarray, np.random.Generator], np.ndarray]
CASES: dict[str, Case] = {
    each.__name__: each
    for each in (
        perfect, memoriser, half_memoriser, noisy_memoriser, half_of_the_labels, collapsed, blurry,
        noisy,
    )
}  # fmt: skip


def halved(dataset: Dataset, most: int, seed: int = 0) -> tuple[Dataset, ImageSet]:
    """The data set as the generator knows it, with half of the training images, and `most` of the
    others at most."""
    order = np.random.default_rng(seed).permutation(len(dataset.train))
    seen, unseen = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    known = replace(dataset, train=subset(dataset.train, seen))
    return known, drawn(subset(dataset.train, unseen), most, seed)


def table(dataset: Dataset, images: int, features: str = AUTO) -> dict[str, Any]:
    """Every measure of every case, and which of them tell it from a perfect generator."""
    known, unseen = halved(dataset, images)
    found = features_of(known, features)
    training = known.train.images.gather(np.arange(len(known.train)))
    held_out = drawn(known.validation, images, 0)
    reference = Reference(
        _features(found, held_out.images.gather(np.arange(len(held_out)))),
        _features(found, training),
    )
    result: dict[str, Figures] = {}
    seconds = {}
    for name, case in CASES.items():
        began = time.perf_counter()
        pictures = case(unseen, training, np.random.default_rng(0))
        distinct = len(np.unique(hash_rows(pictures)))
        result[name] = compare(_features(found, pictures), distinct, reference)
        seconds[name] = round(time.perf_counter() - began, 2)
    return {
        "data": dataset.name,
        "features": found.said,
        "digest": found.digest,
        "held_out": len(held_out),
        "training": len(training),
        "cases": {name: figures.model_dump() for name, figures in result.items()},
        "told_by": {name: told_by(figures, result["perfect"]) for name, figures in result.items()},
        "seconds": seconds,
    }


def told_by(figures: Figures, of_perfect: Figures) -> list[str]:
    """The measures whose interval has nothing in common with that of the perfect generator."""
    pairs = {name: (getattr(figures, name), getattr(of_perfect, name)) for name in MEASURES}
    return [
        name
        for name, (one, other) in pairs.items()
        if one is not None and other is not None and _apart(one, other)
    ]


def _apart(one: Estimate, other: Estimate) -> bool:
    bounds = [each for pair in (one, other) for each in (pair.low, pair.high)]
    low, high, other_low, other_high = (0.0 if each is None else each for each in bounds)
    return high < other_low or other_high < low


def _features(features: Features, pictures: np.ndarray) -> np.ndarray:
    batches = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
    return features.of(batches, len(pictures), "")


def as_table(result: dict[str, Any]) -> str:
    """The figures as Markdown, each with half the width of its interval."""
    lines = [
        f"| generator | {' | '.join(MEASURES)} | told by |",
        f"| --- |{' --- |' * (len(MEASURES) + 1)}",
    ]
    for name, figures in result["cases"].items():
        cells = [_cell(figures[key]) for key in MEASURES]
        told = ", ".join(result["told_by"][name]) or "–"
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def _cell(estimate: dict[str, float] | None) -> str:
    if estimate is None:
        return "–"
    half = (estimate["high"] - estimate["low"]) / 2
    return f"{estimate['value']:.3g} ± {half:.2g}"


def main(
    data: Annotated[str, typer.Option(help="The data set, such as mnist or sprites.")] = "mnist",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where it lies; else ../shared/data or data.")
    ] = None,
    images: Annotated[int, typer.Option(min=100, help="Pictures of each generator.")] = 3000,
    limit: Annotated[
        int | None, typer.Option(min=1000, help="Images of the data set; all without it.")
    ] = None,
    features: Annotated[str, typer.Option(help="What pictures are compared by.")] = AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare generators whose fault is known by every measure."""
    folder = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    config = DataConfig(dataset=data, data_dir=str(folder), limit=limit)
    result = table(load_dataset(config), images, features)
    if as_json:
        print(json.dumps(result | {"torch": version("torch")}, indent=2))
        return
    print(as_table(result))
    print(result["features"])


if __name__ == "__main__":
    typer.run(main)
