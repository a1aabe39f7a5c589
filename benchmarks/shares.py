"""Where the time of a training goes: the steps, and each of the things that surround them.

A preset is trained as the command line trains it; functions of the worker are timed by the wall,
and by the processor time of the thread that calls them, each less what it calls of the others. What
the recorder does, it does in a thread beside the steps, so shares may come to more than one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vae_core import process

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@dataclass
class Spent:
    """Seconds by the wall and of processor time, and calls."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: int = 0


class Stopwatches:
    """Times functions under names, each without what it calls of the others."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = defaultdict(Spent)
        self._inner = threading.local()

    def time(self, name: str, owner: Any, attribute: str) -> None:
        """Put a timed function in the place of one of `owner`."""
        function = getattr(owner, attribute)

        def timed(*args: Any, **options: Any) -> Any:
            return self._call(name, lambda: function(*args, **options))

        setattr(owner, attribute, timed)

    def time_each(self, name: str, owner: Any, attribute: str) -> None:
        """The same for a function that returns an iterator: what its items take."""
        function = getattr(owner, attribute)

        def timed(*args: Any, **options: Any) -> Any:
            items = iter(function(*args, **options))
            nothing = object()
            while (item := self._call(name, lambda: next(items, nothing))) is not nothing:
                yield item

        setattr(owner, attribute, timed)

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        stack: list[list[float]] = self._inner.__dict__.setdefault("stack", [])
        wall, cpu = time.perf_counter(), time.thread_time()
        stack.append([0.0, 0.0])
        try:
            return call()
        finally:
            took = time.perf_counter() - wall, time.thread_time() - cpu
            inner, spent = stack.pop(), self.spent[name]
            spent.wall, spent.cpu = spent.wall + took[0] - inner[0], spent.cpu + took[1] - inner[1]
            spent.calls += 1
            if stack:
                stack[-1] = [a + b for a, b in zip(stack[-1], took, strict=True)]


def measured(preset: str, data_dir: Path, epochs: int) -> dict[str, Any]:
    """Train a preset for so many epochs, in this process; the shares by name."""
    from vae_core.families import complete
    from vae_core.presets import presets
    from vae_core.runs import Store
    from vae_core.training import loop, players, recorders, worker
    from vae_core.training.behind import Behind
    from vae_core.training.control import WorkerControl
    from vae_core.training.window import MetricWindow

    watches = Stopwatches()
    watches.time("steps", players.Players, "step")
    watches.time("gathering batches", loop.Loop, "batch")
    watches.time("adding up terms", MetricWindow, "add")
    watches.time("messages", WorkerControl, "__call__")
    watches.time("looking for numbers that are none", loop.Loop, "require_finite")
    watches.time_each("validation", loop, "measuring")
    watches.time("previews", loop.Loop, "_preview")
    watches.time("handing over to the recorder", Behind, "__call__")
    watches.time("recording, beside", recorders.RunRecorder, "__call__")
    watches.time("saving, beside", recorders, "save_checkpoint")
    watches.time("encodings", worker, "save_latents")
    watches.time("the last measurement", worker, "save_measurement")
    watches.time("directions", worker, "save_directions")
    config = presets[preset].config
    changes = {"data": {"data_dir": str(data_dir)}, "train": {"epochs": epochs}}
    with tempfile.TemporaryDirectory() as folder:
        run = Store(folder).create("shares", complete(config.updated(changes)))
        began = time.perf_counter()
        ended = worker.work(run)
        whole = time.perf_counter() - began
    return {
        "preset": preset,
        "epochs": epochs,
        "steps": ended.step,
        "seconds": round(whole, 2),
        "shares": {
            name: {
                "wall": round(spent.wall / whole, 4),
                "cpu_s": round(spent.cpu, 3),
                "calls": spent.calls,
            }
            for name, spent in sorted(watches.spent.items(), key=lambda each: -each[1].wall)
        },
    }


def main(
    preset: Annotated[str, typer.Option(help="What is trained.")] = "course-vae",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of its data set.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell where the time of a training goes."""
    process.prepare()
    folder = data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")
    found = measured(preset, folder.resolve(), epochs)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['steps']} steps in {found['seconds']:.1f} s", file=sys.stderr)
    for name, each in found["shares"].items():
        print(f"{each['wall']:7.2%}  {each['cpu_s']:8.3f} s  {each['calls']:6} calls  {name}")


if __name__ == "__main__":
    typer.run(main)
