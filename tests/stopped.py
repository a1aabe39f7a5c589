"""Workers that are paused and stopped in every phase; run as a program.

`python -m tests.stopped STORE [both]`: in each phase a worker, in a process of its own, is paused,
woken and asked to stop, by the command in the run folder or by SIGTERM, and timed until its process
is gone. One line of JSON for each says what was found.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from tests.engine import make_loop, tiny
from vae_core.cli.train import listening
from vae_core.data import load_dataset
from vae_core.data.split_record import record_splits
from vae_core.run_data import data_card
from vae_core.runs import PARTS, PartDigests, Run, Store
from vae_core.runs.lease import TOKEN_VARIABLE
from vae_core.training import jobs
from vae_core.training.checkpoint import save_checkpoint
from vae_core.training.worker import work

TRIES = 3
"""The machine may be busy with something else; the best of so many counts."""

PAUSED_S = 1.0

Reached = Callable[[Run], bool]


@dataclass(frozen=True)
class Phase:
    """What makes a phase last, and how it is known that a run is in it.

    at_end: the run has taken its last step, and what follows the training is to be made.
    pauses: False where one call cannot be interrupted.
    """

    settings: dict[str, Any]
    reached: Reached
    at_end: bool = False
    pauses: bool = True


def says(words: str) -> Reached:
    return lambda run: words in run.status().message


def has_stepped(run: Run) -> bool:
    """The only step of an epoch is over: the unseen images are measured."""
    return any(record["kind"] == "step" for record in run.history()[0])


def pictures(folder: Path, count: int = 500) -> Path:
    """A folder of `count` names for one large picture, which takes a while to prepare."""
    folder.mkdir()
    first = folder / "0.png"
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)
    Image.fromarray(noise).save(first, compress_level=1)
    for number in range(1, count):
        os.link(first, folder / f"{number}.png")
    return folder


def sprites(images: int, **train: Any) -> dict[str, Any]:
    """A step of 600 images takes 2.3 s on one core, and the 24 006 unseen ones 26 s."""
    return {
        "data": {
            "dataset": "sprites",
            "image_size": 64,
            "limit": images,
            "validation_fraction": 0.8,
        },
        "model": {"options": {"channels": [32, 64], "hidden": 64}},
        "train": {"epochs": 3, "batch_size": images, **train},
    }


def phases(store: Path) -> dict[str, Phase]:
    folder = {"dataset": "folder", "data_dir": str(pictures(store / "pictures")), "limit": None}
    return {
        "preparing": Phase({"data": folder}, says(" of 500")),
        "first step": Phase(sprites(3000), says("Taking the first step"), pauses=False),
        "validation": Phase(sprites(300), has_stepped),
        "encoding": Phase(sprites(3000), says("Encoding the images"), at_end=True),
        "measuring": Phase(sprites(300), says("Measuring the images"), at_end=True),
    }


def stage(run: Run) -> None:
    """Save what a worker saves that has taken its last step, without taking any."""
    dataset = load_dataset(run.config().data)
    recorded = record_splits(dataset)
    loop = make_loop(run.config(), dataset=dataset)
    loop.step = loop.validated = loop.total_steps
    run.write_bytes(PARTS, recorded.to_bytes())
    card = data_card(dataset).model_copy(update={"digest": PartDigests(**recorded.digest())})
    run.write_json("data.json", card)
    save_checkpoint(run, loop.checkpoint())


def started(run: Run) -> int:
    """The process id of a worker for the run, forked from here: torch is imported already."""
    child = os.fork()
    if child:
        return child
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        with listening(run) as control:
            work(run, control=control)
    finally:
        os._exit(0)


def until(reached: Callable[[], bool], run: Run, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end and run.status().state != "failed", run.status()
        time.sleep(0.01)


def busy_while_paused(run: Run, pid: int) -> float:
    """The share of one core that a paused worker takes."""
    jobs.send(run, {"command": "pause"})
    until(lambda: run.status().state == "paused", run)
    share = 1.0
    for _ in range(4):  # what was begun, such as decoding a picture, is brought to its end first
        before = worked_s(pid)
        time.sleep(PAUSED_S)
        share = min(share, (worked_s(pid) - before) / PAUSED_S)
        if share < 0.02:
            break
    jobs.send(run, {"command": "resume"})
    until(lambda: run.status().state != "paused", run)
    return share


def worked_s(pid: int) -> float:
    """Processor time of a process. Linux counts ticks of a hundredth of a second, which meet who
    wakes up often by chance, and beside them what each thread really took."""
    threads = [*Path(f"/proc/{pid}/task").glob("*/schedstat")]
    if threads:
        return sum(int(each.read_text().split()[0]) for each in threads) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def stop(run: Run, pid: int, way: str) -> float:
    """Seconds from the wish to the end of the process."""
    start = time.monotonic()
    if way == "stop":
        jobs.send(run, {"command": "stop"})
    else:
        os.kill(pid, getattr(signal, way))
    os.waitpid(pid, 0)
    return time.monotonic() - start


def found(store: Store, name: str, phase: Phase, way: str) -> dict[str, Any]:
    """What becomes of a run that is stopped in a phase."""
    best: dict[str, Any] = {}
    for number in range(TRIES):
        run = store.create(f"{name}-{way}-{number}".replace(" ", "-"), tiny(**phase.settings))
        if phase.at_end:
            stage(run)
        pid = started(run)
        until(lambda run=run: phase.reached(run), run)
        time.sleep(0.2 if phase.pauses else 1.5)
        busy = busy_while_paused(run, pid) if phase.pauses else 0.0
        seconds = stop(run, pid, way)
        status = run.status()
        if not best or seconds < best["seconds"]:
            best = {
                "phase": name, "way": way, "seconds": round(seconds, 2), "paused": round(busy, 3),
                "state": status.state, "message": status.message, "weights": run.weights_step(),
            }  # fmt: skip
        if seconds < 2:
            break
    return best


def while_starting(store: Store, way: str) -> dict[str, Any]:
    """A worker that the app has just launched: torch is not there yet."""
    run = store.create(f"starting-{way}", tiny())
    command = [sys.executable, "-m", "vae_core", "work", run.id, "--heard", "0", "--store"]
    lease = run.claim(os.getpid())
    told = os.environ | {TOKEN_VARIABLE: lease.job.token}
    worker = subprocess.Popen([*command, str(store.path)], env=told)
    lease.hand_over(worker.pid)
    until(
        lambda: len(psutil.Process(worker.pid).threads()) > 3, run
    )  # two watchdogs, the command's and the worker's, and the heartbeat
    seconds = stop(run, worker.pid, way)
    status = run.status()
    return {
        "phase": "starting", "way": way, "seconds": round(seconds, 2), "paused": 0.0,
        "state": status.state, "message": status.message, "weights": run.weights_step(),
    }  # fmt: skip


def main(store: Store, both: bool) -> Iterator[dict[str, Any]]:
    """Each phase in one way, in turn, or in both."""
    torch.set_num_threads(1)
    load_dataset(tiny(**sprites(3000)).data)  # here, so that it is not drawn for every worker
    ways = ("stop", "SIGTERM")
    for way in ways:
        yield while_starting(store, way)
    for number, (name, phase) in enumerate(phases(store.path).items()):
        for way in ways if both else (ways[number % 2],):
            yield found(store, name, phase, way)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for line in main(Store(place), "both" in sys.argv[2:]):
        print(json.dumps(line), flush=True)
