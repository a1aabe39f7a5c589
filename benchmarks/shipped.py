"""The models that come with the app, trained, scored and chosen: `python -m benchmarks.shipped`.

Each is one command with a seed, the best of its seeds by a stated measure. What was begun goes on,
what is finished is left alone, so that a stopped machine costs nothing:

    python -m benchmarks.shipped --list               the exact commands
    python -m benchmarks.shipped scenes-tcvae         train all of its seeds, score, tell the best
    python -m benchmarks.shipped --minutes 30         as far as one gets; the next call goes on
    python -m benchmarks.shipped NAME --install       the best into trained_models

On a GPU add `--device cuda`. The table is of what the runs themselves recorded.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core.latent.directions import principal_directions, write_directions
from vae_core.latent.encodings import load_encodings
from vae_core.runs import Run
from vae_core.runs.derived import derived_folder
from vae_core.runs.folder import SHIPPED_LIST, shipped_names
from vae_core.runs.layout import CONFIG
from vae_core.runs.migrations import to_store
from vae_core.scoring import scores

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "build" / "shipped"
SHIPPED = ROOT / "trained_models"
LARGEST = 5_000_000
"""Bytes of a run that ships."""
PRIVATE = ("training_state*.pt", "lease-*", "log.txt", "job.json", "control.jsonl", "best.*")
"""What only a run at work needs."""


@dataclass(frozen=True)
class Recipe:
    """How a shipped run is made.

    measure: what the seeds are compared by, of `score` on samples; "" by the ELBO.
    prior: whether a prior over its codes is learned and ships with it.
    """

    name: str
    preset: str
    seeds: tuple[int, ...] = (0,)
    settings: dict[str, Any] = field(default_factory=dict)
    measure: str = ""
    prior: bool = False

    def command(self, seed: int, device: str) -> list[str]:
        """What follows `python -m vae_core`."""
        chosen = self.settings | {"train.seed": seed} | ({"train.device": device} if device else {})
        pairs = [("--set", f"{key}={value}") for key, value in chosen.items()]
        words = [word for pair in pairs for word in pair]
        return ["train", "--preset", self.preset, "--run", self.name, *words]


RECIPES = (
    Recipe("scenes-tcvae", "scenes-tcvae", (0, 1, 2), {"train.preview_every": 1900}, "mig"),
    Recipe("scenes-factor", "scenes-factor", (0, 1, 2), {"train.preview_every": 1900}, "mig"),
    Recipe("mnist-plane", "mnist-plane", (0,), {"train.preview_every": 900}),
    Recipe(
        "sprites-tcvae",
        "tcvae-sprites",
        (0, 1, 2, 3),
        {
            "data.limit": 200_000,
            "train.epochs": 40,
            "train.decay": "cosine",
            "train.preview_every": 12_000,
        },
        "mig",
    ),
    Recipe(
        "sprites-vae",
        "sprites-vae",
        (0,),
        {"data.limit": 200_000, "train.epochs": 20, "train.preview_every": 6000},
    ),
    Recipe("scenes-vq", "scenes-vq", (0,), {"train.preview_every": 750}, prior=True),
)


def run_of(recipe: Recipe, seed: int) -> Run:
    """Where the run of a seed lies: under its final name, in a store of its seed."""
    return Run(STORE / f"seed-{seed}" / recipe.name)


def state_of(run: Run) -> str:
    """Of what is there; "" where nothing is."""
    return run.status().state if run.has("config.json") else ""


def ran(words: list[str], store: Path, until: float) -> bool:
    """Run a command of the product; False where the time was over first, and it saved and stopped.

    Raises:
        SystemExit: when it fails; with its last words.
    """
    command = [sys.executable, "-m", "vae_core", *words, "--store", str(store)]
    print("+ python -m vae_core", shlex.join(words), file=sys.stderr, flush=True)
    child = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stopped = False
    try:
        _, said = child.communicate(timeout=max(1.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        stopped = True
        child.send_signal(signal.SIGINT)
        _, said = child.communicate()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
    if child.returncode and not stopped:
        raise SystemExit(f"{shlex.join(words)} failed: {said.strip().splitlines()[-1:]}")
    return not stopped


def trained(recipe: Recipe, seed: int, device: str, until: float) -> bool:
    """Bring the run of a seed as far as the time allows; whether it is finished and scored."""
    run = run_of(recipe, seed)
    store, state = run.path.parent, state_of(run)
    if state != "finished":
        words = ["resume", recipe.name] if state else recipe.command(seed, device)
        if not ran(words, store, until) or state_of(run) != "finished":
            return False
    if recipe.measure and not scores(run):
        ran(["score", recipe.name], store, until + 600)
    return True


def figure(recipe: Recipe, run: Run) -> float:
    """What seeds are compared by; the higher the better."""
    if recipe.measure:
        return float(scores(run)["samples"][recipe.measure])
    elbo = run.summary().get("elbo")
    return float("-inf") if elbo is None else float(elbo)


def row(recipe: Recipe, seed: int) -> dict[str, Any]:
    """What is known of the run of a seed, from its own records."""
    run = run_of(recipe, seed)
    found: dict[str, Any] = {"model": recipe.name, "seed": seed, "state": state_of(run) or "new"}
    if found["state"] == "new":
        return found
    status, summary = run.status(), run.summary()
    found |= {"step": status.step, "of": status.total_steps}
    found |= {key: summary[key] for key in ("elbo", "recon", "active_units") if key in summary}
    if found["state"] == "finished" and (scored := scores(run)):
        for kind in ("means", "samples"):
            for name in ("mig", "dci_disentanglement"):
                found[f"{name} ({kind})"] = round(scored[kind][name], 3)
    return found


def ready(run: Run) -> Run:
    """A copy of a finished run as it ships: without what only training needs and the number of
    threads it happened to have, with what is otherwise made anew and kept in the cache."""
    place = STORE / "ready" / run.id
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(run.path, place, ignore=shutil.ignore_patterns(*PRIVATE))
    copy = Run(place)
    config = copy.config()
    copy.write_json(CONFIG, to_store(config.updated({"train": {"threads": None}})))
    encodings = load_encodings(copy)
    write_directions(copy, principal_directions(encodings.mu), encodings.step)
    for kept in derived_folder(run).path.glob("prior-*"):
        shutil.copy(kept, place)
    return copy


def install(recipe: Recipe) -> Path:
    """Put the best finished seed where shipped runs lie, and into their list.

    Raises:
        SystemExit: when none is finished, or it is too large.
    """
    done = [run_of(recipe, s) for s in recipe.seeds if row(recipe, s)["state"] == "finished"]
    if not done:
        raise SystemExit(f"No seed of {recipe.name} is finished.")
    best = max(done, key=lambda run: figure(recipe, run))
    if recipe.prior:
        ran(["prior", recipe.name], best.path.parent, time.monotonic() + 3600)
    copy = ready(best)
    size = sum(path.stat().st_size for path in copy.path.rglob("*") if path.is_file())
    if size > LARGEST:
        raise SystemExit(f"{best.path} has {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}.")
    place = SHIPPED / recipe.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.move(copy.path, place)
    listed = shipped_names(SHIPPED)
    if recipe.name not in listed:
        (SHIPPED / SHIPPED_LIST).write_text("\n".join([*listed, recipe.name, ""]), "utf-8")
    return place


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which models; else all.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 never.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda; else what there is.")] = "",
    seeds: Annotated[int, typer.Option(min=0, help="Only so many seeds of each; 0 all.")] = 0,
    listing: Annotated[bool, typer.Option("--list", help="Print the commands only.")] = False,
    installing: Annotated[bool, typer.Option("--install", help="Ship the best seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the models that ship."""
    known = {recipe.name: recipe for recipe in RECIPES}
    if unknown := set(names or ()) - known.keys():
        raise SystemExit(
            f"No such model: {', '.join(sorted(unknown))}; there are {', '.join(known)}."
        )
    chosen = [recipe for recipe in RECIPES if not names or recipe.name in names]
    wanted = [
        (recipe, seed) for recipe in chosen for seed in recipe.seeds[: seeds or len(recipe.seeds)]
    ]
    if listing:
        for recipe, seed in wanted:
            print("python -m vae_core", shlex.join(recipe.command(seed, device)))
        return
    if installing:
        for recipe in chosen:
            print(install(recipe))
        return
    until = time.monotonic() + (minutes * 60 if minutes else 1e9)
    for recipe, seed in wanted:
        if time.monotonic() < until:
            trained(recipe, seed, device, until)
    rows = [row(recipe, seed) for recipe, seed in wanted]
    if as_json:
        print(json.dumps({"models": rows}, indent=2))
        return
    for each in rows:
        print(", ".join(f"{key} {value}" for key, value in each.items()))


if __name__ == "__main__":
    typer.run(main)
