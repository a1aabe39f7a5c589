"""Published results within a budget of time, for a machine that is at hand for minutes.

    python -m benchmarks.reproduce --minutes 10 --store FOLDER

As many results as the time allows are trained for an equal share of it, those first of whose
schedule the least was run; each is measured as its source says, and told as a line of JSON: what it
came to, how much of its schedule was run, in which time, on what device. The runs stay in the
store: called again with the same one, it goes on with the next and then with these.

The time: `OVERHEAD_S` of each result is importing, images and measuring, `LEAST_S` at least are
training. Ten minutes are ten results of 25 + 35 s. Whatever one leaves is shared by those after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from vae_core.locations import module_command, module_environment
from vae_core.reproduce import reproductions
from vae_core.reproduce.table import own
from vae_core.runs import Store

OVERHEAD_S = 25.0
"""Of a result beside its training, on a GPU."""

LEAST_S = 30.0
"""Of training; less tells nothing of a result."""


def chosen(minutes: float, names: Sequence[str], done: dict[str, float]) -> list[str]:
    """As many of the results as get `LEAST_S` in that time, the least trained first, of `done`
    shares of their schedules; those that are whole are left out."""
    left = sorted((n for n in names if done.get(n, 0.0) < 1), key=lambda n: done.get(n, 0.0))
    return left[: max(1, int(60 * minutes / (OVERHEAD_S + LEAST_S)))]


def training_s(left: float, results: int) -> float:
    """Seconds of training for the next of so many results, so that all end in `left` seconds."""
    return max(1.0, left / results - OVERHEAD_S)


def reproduced(name: str, seconds: float, store: Store) -> dict[str, Any]:
    """Train one so long, measure it, and its record; or what the problem was."""
    command = module_command(
        "vae_core", "reproduce", name, "--minutes", f"{max(seconds / 60, 0.01):.3f}", "--json",
        "--store", str(store.path),
    )  # fmt: skip
    done = subprocess.run(
        command, env=module_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout.strip():
        said = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        return {"name": name, "problem": said[0]}
    return json.loads(done.stdout)


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="For all of them together.")] = 10.0,
    names: Annotated[str, typer.Option(help="Which, with commas between; all possible ones.")] = "",
    store: Annotated[str | None, typer.Option(help="Folder of the runs.")] = None,
) -> None:
    """Reproduce what can be reproduced here."""
    end, runs = time.monotonic() + 60 * minutes, Store(store)
    known = names.split(",") if names else [e.name for e in reproductions if not e.problem]
    done = {name: each.step / each.total_steps for name, each in own(runs).items()}
    order = chosen(minutes, known, done)
    print(
        f"{len(order)} of {len(known)} results in {60 * minutes:.0f} s: "
        f"{training_s(60 * minutes, len(order)):.0f} s of training each, {OVERHEAD_S:.0f} s beside "
        "it.",
        file=sys.stderr,
    )
    for number, name in enumerate(order):
        seconds = training_s(end - time.monotonic(), len(order) - number)
        print(json.dumps(reproduced(name, seconds, runs)), flush=True)


if __name__ == "__main__":
    typer.run(main)
