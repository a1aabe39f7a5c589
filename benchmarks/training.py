"""Images/s of training: this project's worker, its bare steps, pythae's trainer, a tutorial's loop.

Three workloads, whole epochs, validation and recording on in all but the bare steps. Every
measurement has a process of its own, with the settings that its side really runs with; the sides
take turns, so that a machine that slows down slows all; ratios are taken round by round.

`ours` counts from before the first step to the last record of training: validation, previews, saves
and the encodings between epochs are in it. What follows training once (encodings, summary,
directions) is said apart: `after_training_s`, and `ours_to_the_end` with it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.workloads import WORKLOADS, Workload
from vae_core.locations import CACHE_VARIABLE
from vae_core.process import cores

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Side:
    """Who trains: what its process runs, and what it changes of our `train`, given the precision
    that ours has found to be faster."""

    loop: str
    changes: Callable[[str], dict[str, Any]] = lambda precision: {}


SIDES: Mapping[str, Side] = {
    "ours": Side("workbench"),
    "bare": Side("bare", lambda precision: {"precision": precision}),
    "pythae": Side("pythae"),
    "tutorial": Side("tutorial"),
    "ours_compiled": Side("workbench", lambda precision: {"compile": True}),
}
USUAL = ("ours", "bare", "pythae", "tutorial")
RIVALS = [side for side in USUAL if side != "ours"]


def measured(side: str, folder: Path, precision: str) -> dict[str, Any]:
    """Train one side in a fresh process; what it says, and its images over its seconds.

    Args:
        precision: what ours took where it was free to choose: bare steps are of that.

    Raises:
        SystemExit: when that process fails; the end of what it said was printed.
    """
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", f"benchmarks.{SIDES[side].loop}_loop"]
        changes = json.dumps(SIDES[side].changes(precision))
        done = subprocess.run(
            [*command, str(folder), str(Path(place) / "out"), changes],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            check=False,
        )
        if done.returncode:
            said.seek(0)
            print(said.read()[-4000:], file=sys.stderr)
            raise SystemExit(f"The side {side!r} failed; what it said is above.")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"images_per_s": found["images"] / found["seconds"]}


def compare(name: str, folder: Path, sides: Sequence[str], rounds: int) -> dict[str, Any]:
    """One workload: medians over the rounds, and the medians of the ratios of each round."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else sides[::-1]:
            precision = found["ours"][0]["precision"] if found["ours"] else ""
            found[side].append(measured(side, folder, precision))
            now = found[side][-1]["images_per_s"]
            print(f"{name}, round {number + 1}: {side} {now:,.1f} images/s", file=sys.stderr)

    def median(side: str, value: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(map(value, found[side]))

    def speed(side: str) -> float | None:
        return round(median(side, lambda one: one["images_per_s"]), 1) if side in found else None

    def ratio(side: str) -> float | None:
        if side not in found:
            return None
        pairs = zip(found["ours"], found[side], strict=True)
        return round(statistics.median(a["images_per_s"] / b["images_per_s"] for a, b in pairs), 3)

    ours = found["ours"][0]
    shown = dict.fromkeys(("ours", "pythae", "tutorial", "bare", *sides))
    result: dict[str, Any] = {side: speed(side) for side in shown}
    result |= {f"ratio_{side}": ratio(side) for side in shown if side != "ours"}
    result |= {
        "precision": ours["precision"],
        "preset": WORKLOADS[name].preset,
        "images": ours["images"],
        "shares": {
            share: round(median("ours", lambda one, share=share: one["shares"][share]), 4)  # type: ignore[misc]
            for share in ours["shares"]
        },
        "after_training_s": round(
            median("ours", lambda one: one["whole_seconds"] - one["seconds"]), 2
        ),
        "ours_to_the_end": round(
            median("ours", lambda one: one["images"] / one["whole_seconds"]), 1
        ),
        "rounds": {side: [round(one["images_per_s"], 1) for one in found[side]] for side in found},
    }
    return result | (of_sgemm(result, found["bare"]) if "bare" in found else {})


def of_sgemm(speeds: dict[str, Any], bare: list[dict[str, Any]]) -> dict[str, Any]:
    """How much of the machine's speed with large float32 matrices training makes use of."""
    gflops = statistics.median(one["sgemm_gflops"] for one in bare)
    flops = bare[0]["flops_per_image"]
    return {
        "sgemm_gflops": round(gflops, 1),
        "flops_per_image": round(flops),
        "sgemm_images_per_s": round(1e9 * gflops / flops, 1),
        "of_sgemm": {
            side: round(speeds[side] * flops / (1e9 * gflops), 3) for side in ("ours", "bare")
        },
        "threads": bare[0]["threads"],
        "cpu": bare[0]["cpu"],
    }


def machine() -> dict[str, Any]:
    """What a figure is of: the machine, the versions, the day."""
    packages: dict[str, str | None] = {}
    for name in ("torch", "pythae"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "cores": cores(),
        "processor": processor(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **packages,
        "date": date.today().isoformat(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def refuse(sentence: str) -> SystemExit:
    """Say what is wrong; raised, it ends with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    return SystemExit(2)


def mnist_folder(data_dir: Path | None) -> Path:
    """The folder with MNIST.

    Raises:
        SystemExit: where there is none.
    """
    data_dir = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    if not (data_dir / "MNIST" / "raw").is_dir():
        raise refuse(
            f"there is no MNIST in {data_dir}; name its folder with --data-dir, or let "
            "`python -m vae_core train --preset course-vae` download it into data."
        )
    return data_dir.resolve()


def chosen(words: str, known: list[str], option: str) -> list[str]:
    """The known names among comma-separated `words`, in their usual order.

    Raises:
        SystemExit: on a name that is none.
    """
    names = [name.strip() for name in words.split(",") if name.strip()]
    if strange := [name for name in names if name not in known]:
        raise refuse(f"{option}: there is no {strange[0]!r}; choose from {', '.join(known)}.")
    return [name for name in known if name in names]


def sides_without(left_out: list[str]) -> list[str]:
    """The sides that are measured.

    Raises:
        SystemExit: where pythae is one of them and is not installed.
    """
    sides = [side for side in USUAL if side not in left_out]
    if "pythae" in sides and find_spec("pythae") is None:
        raise refuse(
            "pythae is not installed; install it with `pip install pythae==0.1.2`, or leave it "
            "out with --without pythae."
        )
    return sides


def run(
    names: list[str],
    sides: list[str],
    rounds: int,
    data_dir: Path | None = None,
    epochs: int | None = None,
    images: int | None = None,
) -> dict[str, Any]:
    """Measure these workloads; the object that `--json` prints."""
    found: dict[str, Any] = {}
    for name in names:
        workload = WORKLOADS[name]
        place = mnist_folder(data_dir) if workload.shape is None else None
        with prepared(workload, place, epochs, images) as folder:
            found[name] = compare(name, folder, sides, rounds)
    return {"workloads": found, **machine()}


@contextmanager
def prepared(workload: Workload, *wishes: Any, **more: Any) -> Iterator[Path]:
    """A folder with what the sides need, see `Workload.prepare`; caches are kept in it too."""
    before = os.environ.get(CACHE_VARIABLE)
    with tempfile.TemporaryDirectory() as place:
        os.environ[CACHE_VARIABLE] = str(Path(place) / "cache")
        try:
            workload.prepare(Path(place), *wishes, **more)
            yield Path(place)
        finally:
            os.environ.pop(CACHE_VARIABLE)
            if before is not None:
                os.environ[CACHE_VARIABLE] = before


def show(result: dict[str, Any]) -> None:
    """The result as a table."""
    from vae_core.cli.options import print_table

    columns = ("ours", "pythae", "tutorial", "bare", "ratio_pythae", "ratio_tutorial", "ratio_bare")
    rows: list[tuple[str, ...]] = [("", *columns, "precision", "of sgemm")]
    for name, found in result["workloads"].items():
        cells = ["–" if found[key] is None else f"{found[key]:,}" for key in columns]
        share = found.get("of_sgemm", {}).get("ours")
        shown = "–" if share is None else f"{share:.0%}"
        rows.append((name, *cells, found["precision"], shown))
    print_table(rows)
    for name, found in result["workloads"].items():
        shares = ", ".join(f"{share} {value:.1%}" for share, value in found["shares"].items())
        print(f"{name}: {shares}")


def main(
    workloads: Annotated[str, typer.Option(help="Which, by commas.")] = ",".join(WORKLOADS),
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 3,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Whole epochs in each measurement.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=40, help="Of each workload; else what its rounds can bear.")
    ] = None,
    without: Annotated[str, typer.Option(help="Sides to leave out, by commas.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the speed of training with its rivals."""
    names = chosen(workloads, list(WORKLOADS), "--workloads")
    sides = sides_without(chosen(without, RIVALS, "--without"))
    result = run(names, sides, rounds, data_dir, epochs, images)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    typer.run(main)
