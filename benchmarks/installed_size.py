"""What an environment with the package takes on disk, and whether it has CUDA.

    python -m benchmarks.installed_size ENVIRONMENT [--at-most MB] --json

ENVIRONMENT is a virtual one, such as `.venv`. Its largest packages are named, and how much of it is
bytecode, which `pip install --no-compile` leaves out. Exit status 1 where it is over --at-most.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

LARGEST = 12


def sizes(environment: Path) -> dict[str, Any]:
    """MB (10⁶ bytes, as files say, not as blocks) of all of it and of its largest packages."""
    (site,) = environment.glob("lib/python3*/site-packages")
    packages: Counter[str] = Counter()
    bytecode = everything = 0
    for path in environment.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        everything += size
        bytecode += size if path.suffix == ".pyc" else 0
        if path.is_relative_to(site):
            packages[path.relative_to(site).parts[0]] += size
    return {
        "all": everything // 10**6,
        "bytecode": bytecode // 10**6,
        "packages": {name: size // 10**6 for name, size in packages.most_common(LARGEST)},
    }


def about_torch(environment: Path) -> list[str | None]:
    """Version of torch, and that of its CUDA; None where it has none."""
    code = "import json, torch; print(json.dumps([torch.__version__, torch.version.cuda]))"
    command = [str(environment / "bin" / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[str | None] = json.loads(done.stdout)
    return found


def main(
    environment: Path,
    at_most: Annotated[int | None, typer.Option(help="MB it may take.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure it."""
    (torch, cuda), mb = about_torch(environment), sizes(environment)
    found = {"torch": torch, "cuda": cuda, "mb": mb}
    print(json.dumps(found, indent=2) if as_json else f"{mb['all']} MB, torch {torch}, CUDA {cuda}")
    if at_most is not None and mb["all"] > at_most:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
