"""The time of every step from a folder of one's own images to what is found in it.

python -m benchmarks.own_images_times --json

Drawings of 64×64 in colour, as many as wanted, and a thousand that come afterwards. Each step is
what the pages and the commands call; what takes long in it is told by what it says of its progress:
in a run, the steps of the epoch are what follows "Taking the first step".
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer

from vae_core import process
from vae_core.locations import CACHE_VARIABLE, STORE_VARIABLE

T = TypeVar("T")

QUERIES, NEAREST = 50, 50
LEAST_S = 0.05
"""Of what is told within a step."""


@dataclass
class Phases:
    """A `Progress` that counts the seconds from each message to the next; numbers in messages make
    no new ones."""

    seconds: dict[str, float] = field(default_factory=dict)
    _message: str = ""
    _since: float = field(default_factory=time.perf_counter)

    def __call__(self, message: str, share: float | None) -> None:
        """Take a message."""
        now = time.perf_counter()
        if self._message:
            self.seconds[self._message] = self.seconds.get(self._message, 0.0) + now - self._since
        self._message, self._since = message.split(":")[0], now

    def ended(self) -> dict[str, float]:
        """Seconds by message, of what took some."""
        self("", None)
        return {name: round(each, 2) for name, each in self.seconds.items() if each >= LEAST_S}


@dataclass
class Times:
    """Seconds by step, and those of the phases in it."""

    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, step: str, work: Callable[[Phases], T]) -> T:
        """Do a step, and keep how long it took."""
        phases, began = Phases(), time.perf_counter()
        done = work(phases)
        took = round(time.perf_counter() - began, 2)
        self.steps[step] = {"seconds": took, "of_which": phases.ended()}
        return done


def measure(images: int, new: int, place: Path, settings: list[str]) -> dict[str, dict[str, Any]]:
    """Every step on that many images, one after the other."""
    from benchmarks.memory import draw
    from vae_core.analysis import survey_of
    from vae_core.cli.train import config_from
    from vae_core.curation import curate
    from vae_core.data import load_dataset
    from vae_core.families import complete
    from vae_core.imaging.walk import open_pictures
    from vae_core.latent.search import NearestEncodings
    from vae_core.runs import Store
    from vae_core.score_images import score_images
    from vae_core.training.worker import work

    folder, later = place / "images", place / "later"
    draw(folder, images)
    draw(later, new)
    times = Times()
    config = complete(config_from(None, None, "folder", str(folder), 1, settings))

    def listed(progress: Phases) -> int:
        with open_pictures(folder, progress) as listing:
            return len(listing)

    times.of("listing", listed)
    times.of("preparing", lambda progress: load_dataset(config.data, progress))
    times.of("opening what is prepared", lambda progress: load_dataset(config.data, progress))
    run = Store().create("times", config)
    times.of("a run of one epoch", lambda progress: work(run, progress=progress))
    survey = times.of("encoding", lambda progress: survey_of(run, "train", None, progress))
    times.of("curation", lambda progress: curate(run, "train", progress=progress))
    for step in ("the first new images", "more new images"):
        times.of(step, lambda progress: score_images(run, [later], progress=progress))
    search = times.of("getting ready to search", lambda _: NearestEncodings(survey.mu))
    queries = np.random.default_rng(0).permutation(len(survey))[:QUERIES]
    took = []
    for row in queries:
        began = time.perf_counter()
        search.nearest(survey.mu[row : row + 1], NEAREST)
        took.append(time.perf_counter() - began)
    times.steps["one search"] = {"seconds": round(statistics.median(took), 4), "of_which": {}}
    return times.steps


def main(
    images: Annotated[int, typer.Option(min=20, help="In the folder.")] = 50_000,
    new: Annotated[int, typer.Option(min=1, help="That come afterwards.")] = 1000,
    settings: Annotated[
        list[str], typer.Option("--set", help="A setting of the run; else all are decided.")
    ] = [],  # noqa: B006 — typer wants a list and copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure all steps; a run of one epoch stands for those of a training."""
    with tempfile.TemporaryDirectory() as name:
        os.environ[CACHE_VARIABLE] = str(Path(name) / "cache")
        os.environ[STORE_VARIABLE] = str(Path(name) / "runs")
        process.prepare()
        steps = measure(images, new, Path(name), settings)
    if as_json:
        print(json.dumps({"images": images, "new": new, "steps": steps}, indent=2))
        return
    for step, told in steps.items():
        print(f"{step:<26} {told['seconds']:>9} s")
        for phase, seconds in told["of_which"].items():
            print(f"    {phase:<40} {seconds:>9} s")


if __name__ == "__main__":
    typer.run(main)
