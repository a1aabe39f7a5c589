"""What β-TCVAE gains over a VAE on sprites, over seeds of training: the presets that ship, scored.

Every run has a process of its own, as the command line trains it, on one thread. The presets are
trained smaller than they ship (32 px, fewer epochs), so that seeds are affordable; the scores are
those of `python -m vae_core score`, on validation images. Where one preset's scores lie within the
spread of the other's, the difference is one of luck.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core.runs import Run
from vae_core.scoring import KINDS, scores

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ("sprites-vae", "tcvae-sprites")
SIZE = 32
SHOWN = ("mig", "sap", "dci_disentanglement")


def scored(store: Path, preset: str, seed: int, epochs: int, limit: int) -> dict[str, Any]:
    """Train a preset with a seed of its own and score it: what `score` keeps in the run.

    Raises:
        SystemExit: when a command fails; with its last words.
    """
    name = f"{preset}-{seed}"
    settings = {"data.image_size": SIZE, "data.limit": limit, "train.seed": seed}
    chosen = [f"--set={key}={value}" for key, value in (settings | {"train.threads": 1}).items()]
    commands = (
        ["train", "--preset", preset, "--epochs", str(epochs), "--run", name, *chosen],
        ["score", name],
    )
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "vae_core", *command, "--store", str(store)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed: {done.stderr.splitlines()[-1]}")
    return scores(Run(store / name))


def spread(found: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over training seeds of every score, by kind of code."""
    return {
        kind: {
            name: {
                "mean": round(statistics.mean(each[kind][name] for each in found), 3),
                "sd": round(statistics.stdev(each[kind][name] for each in found), 3),
            }
            for name in found[0][kind]
        }
        for kind in KINDS
    }


def compare(store: Path, seeds: int, epochs: int, limit: int) -> dict[str, Any]:
    """Both presets over all seeds, in turns, so that a stop leaves as many of each."""
    found: dict[str, list[dict[str, Any]]] = {preset: [] for preset in PRESETS}
    for seed in range(seeds):
        for preset in PRESETS:
            found[preset].append(scored(store, preset, seed, epochs, limit))
            means = found[preset][-1]["means"]
            told = ", ".join(f"{name} {means[name]:.3f}" for name in SHOWN)
            print(f"{preset}, seed {seed}: {told}", file=sys.stderr, flush=True)
    return {
        "workload": f"{', '.join(PRESETS)}; {limit} sprites of {SIZE} px, {epochs} epochs",
        "seeds": seeds,
        "images": found[PRESETS[0]][0]["images"],
        "part": found[PRESETS[0]][0]["part"],
        "active_units": {p: [each["active_units"] for each in found[p]] for p in PRESETS},
        "scores": {preset: spread(found[preset]) for preset in PRESETS},
        "each": {
            p: {n: [round(e["means"][n], 3) for e in found[p]] for n in SHOWN} for p in PRESETS
        },
        "torch": version("torch"),
    }


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each preset.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images in each.")] = 6,
    limit: Annotated[int, typer.Option(min=4000, help="Training images.")] = 40_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the scores of a VAE and a β-TCVAE over training seeds."""
    with tempfile.TemporaryDirectory() as folder:
        result = compare(Path(folder), seeds, epochs, limit)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for preset, kinds in result["scores"].items():
        for kind, found in kinds.items():
            told = ", ".join(f"{n} {found[n]['mean']:.3f} ± {found[n]['sd']:.3f}" for n in SHOWN)
            print(f"{preset}, {kind}: {told}")


if __name__ == "__main__":
    typer.run(main)
