"""Published results within a budget of time, for a machine that is at hand for minutes.

    python -m benchmarks.reproduce --minutes 10 --store FOLDER

As many results as the time allows are trained for an equal share of it, those first of whose
schedule the least was run; each is measured as its source says, and told as a line of JSON: what it
came to, how much of its schedule was run, in which time, on what device. The runs stay in the
store: called again with the same one, it goes on with the next and then with these.

The time: `OVERHEAD_S` of each result is importing, images and measuring, `LEAST_S` at least are
training. Ten minutes are ten results of 25 + 35 s. What one leaves, or cannot use where its images
are not on this machine, is shared by those after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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


def in_turn(names: Sequence[str], done: Mapping[str, float]) -> list[str]:
    """The results that are not whole, the least trained first, of `done` shares of a schedule."""
    left = (name for name in names if done.get(name, 0.0) < 1)
    return sorted(left, key=lambda name: done.get(name, 0.0))


def training_s(left_s: float, waiting: int) -> float:
    """Seconds of training for the next of so many results that wait: what is left is shared by as
    many of them as get `LEAST_S`."""
    results = max(1, min(waiting, int(left_s / (OVERHEAD_S + LEAST_S))))
    return max(1.0, left_s / results - OVERHEAD_S)


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
    order = in_turn(known, done)
    print(
        f"{len(order)} of {len(known)} results are not whole; in {60 * minutes:.0f} s each gets "
        f"{training_s(60 * minutes, len(order)):.0f} s of training, {OVERHEAD_S:.0f} s beside it.",
        file=sys.stderr,
    )
    for number, name in enumerate(order):
        left = end - time.monotonic()
        if number and left <= OVERHEAD_S:
            break
        seconds = training_s(left, len(order) - number)
        print(json.dumps(reproduced(name, seconds, runs)), flush=True)


if __name__ == "__main__":
    typer.run(main)
