"""Published results within a budget of time, for a machine that is at hand for minutes.

Each result that this version can reproduce, and whose data are here, is trained for an equal share
of the time, measured as its source says, and told as a line of JSON: what it came to, how much of
its schedule was run, on what. The runs stay in the store, and go on from there another time.
"""

from __future__ import annotations

import json
import subprocess
from typing import Annotated

import typer

from vae_core.locations import module_command, module_environment
from vae_core.reproduce import reproductions

OVERHEAD_S = 25.0
"""Of a result beside its training: importing, preparing the images, measuring."""

LEAST_S = 5.0


def budgets(minutes: float, names: list[str]) -> dict[str, float]:
    """Seconds of training for each, so that all of them end in time."""
    each = 60 * minutes / max(1, len(names)) - OVERHEAD_S
    return dict.fromkeys(names, max(LEAST_S, each))


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="For all of them together.")] = 10.0,
    names: Annotated[str, typer.Option(help="Which, with commas between; all possible ones.")] = "",
    store: Annotated[str | None, typer.Option(help="Folder of the runs.")] = None,
) -> None:
    """Reproduce what can be reproduced here."""
    chosen = names.split(",") if names else [e.name for e in reproductions if not e.problem]
    for name, seconds in budgets(minutes, chosen).items():
        command = module_command(
            "vae_core", "reproduce", name, "--minutes", f"{seconds / 60:.3f}", "--json",
            *(["--store", store] if store else []),
        )  # fmt: skip
        done = subprocess.run(
            command, env=module_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
            print(json.dumps({"name": name, "problem": said[0]}), flush=True)
        else:
            print(json.dumps(json.loads(done.stdout)), flush=True)


if __name__ == "__main__":
    typer.run(main)
