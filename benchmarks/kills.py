"""Workers that are killed for good at random moments: what is lost, and what a resume makes of it.

Runs of three families are trained in processes of their own and sent SIGKILL by this one, which
does not know what they are at; they save so often that many are hit in a save. Of every run is
asked: does it open, does it resume, and does it end with the very numbers of a run that nobody
disturbed (weights, best weights, optimisers, noise, and the whole history but for its times)?

With `--processes`, several train each run together. One of them is killed, or the agent that has
started them; the others have to begin anew from the last save by themselves, or end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import psutil
import torch
import typer

from vae_core.config import RunConfig, parse_config
from vae_core.families import complete
from vae_core.loading import load_run
from vae_core.runs import BEST, NEXT_STATE, STATE, WEIGHTS, Job, Run, Store, layout
from vae_core.training import jobs
from vae_core.training.worker import work

FAMILIES: dict[str, dict[str, Any]] = {
    "vae": {"model": {"backbone": "conv", "options": {"channels": [8, 16], "hidden": 32}}},
    "vq-vae": {},
    "factor-vae": {
        "objective": {"critic_units": 16, "critic_layers": 2},
        "model": {"backbone": "mlp", "options": {"hidden": [32]}},
    },
}
"""A network with convolutions, one whose codebook moves by itself, one with a critic."""

TIMES = frozenset({"time", "images_per_s"})
"""What no two runs share."""


def config_of(family: str, epochs: int) -> RunConfig:
    """Epochs of 5 steps on digits, saved every 3 steps, after an epoch, and by time."""
    train = {"epochs": epochs, "batch_size": 64, "threads": 1, "device": "cpu", "log_every": 1}
    often = {"checkpoint_every": 3, "save_every_s": 0.2, "preview_every": 7}
    data = {"dataset": "digits", "image_size": 16, "limit": 300}
    settings = {"family": family, "data": data, "train": train | often}
    return complete(parse_config(settings).updated(FAMILIES[family]))


def begin(task: Callable[[], object]) -> int:
    """Do something in a process of its own; its process id. It says nothing."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        task()
        code = 0
    finally:
        os._exit(code)


def end_of(child: int) -> int:
    """Its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def equal(ours: Any, theirs: Any) -> bool:
    """Whether nested values are the same to the last bit."""
    if isinstance(ours, torch.Tensor):
        return isinstance(theirs, torch.Tensor) and torch.equal(ours, theirs)
    if isinstance(ours, dict):
        same = ours.keys() == theirs.keys()
        return same and all(equal(value, theirs[key]) for key, value in ours.items())
    return bool(ours == theirs)


def outcome(run: Run) -> dict[str, Any]:
    """All that a run has come to, less the times that it took."""
    state = torch.load(run.file(STATE), weights_only=True)
    del state["seconds"]
    records = [
        {key: value for key, value in record.items() if key not in TIMES}
        for record in run.history()[0]
        if record["kind"] in ("step", "validation", "preview")
    ]
    files = {name: run.file(name).read_bytes() for name in (WEIGHTS, BEST)}
    return {"state": state, "history": records, **files}


def kill_one(store: Store, name: str, config: RunConfig, after_s: float) -> dict[str, Any] | None:
    """Train a run and kill its worker after some seconds; what is found then and after a resume.
    None where it was done before."""
    run = store.create(name, config)
    child = begin(partial(work, run))
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    if end_of(child) != -signal.SIGKILL:
        return None
    written = run.weights_step()
    found: dict[str, Any] = {
        "family": config.family,
        "after_s": round(after_s, 3),
        "state": run.status().state,
        "saved_step": written,
        "seen_step": max((r["step"] for r in run.history()[0]), default=0),
        "in_a_save": run.file(NEXT_STATE).exists()
        or any(path.name.startswith(".writing-") for path in run.path.iterdir()),
        "opens": written is None or load_run(run).step == written,
    }
    found["resumes"] = end_of(begin(partial(work, run))) == 0
    found["finished"] = run.status().state == "finished"
    return found


def kills(store: Store, count: int, seed: int, epochs: int) -> list[dict[str, Any]]:
    """Kill `count` workers, the families in turn, each at a moment drawn from its whole life."""
    luck = random.Random(seed)
    undisturbed, lasts = {}, {}
    for family in FAMILIES:
        first, second = (store.create(f"{family}-{n}", config_of(family, epochs)) for n in (1, 2))
        work(first)  # here, so that the other processes find all modules imported
        started = time.monotonic()
        assert end_of(begin(partial(work, second))) == 0
        lasts[family] = time.monotonic() - started
        undisturbed[family] = outcome(second)
        assert equal(outcome(first), undisturbed[family]), "two runs differ without a kill"
    found: list[dict[str, Any]] = []
    number = 0
    while len(found) < count:
        number += 1
        family = list(FAMILIES)[len(found) % len(FAMILIES)]
        name, moment = f"killed-{number}", luck.uniform(0, lasts[family])
        each = kill_one(store, name, config_of(family, epochs), moment)
        if each is not None:
            each["identical"] = equal(outcome(store.get(name)), undisturbed[family])
            found.append(each)
            print(f"{len(found):3}  {in_a_row(each)}", file=sys.stderr, flush=True)
    return found


def ranks_of(agent: int) -> dict[int, int]:
    """The process ids of those that an agent has started, by rank."""
    found = {}
    try:
        for child in psutil.Process(agent).children(recursive=True):
            found[int(child.environ()["RANK"])] = child.pid
    except (psutil.Error, KeyError):  # one is just beginning, or ending
        pass
    return found


def ended(run: Run) -> Run:
    """The run, once nobody works on it any more."""
    while run.is_alive():
        time.sleep(0.1)
    return run


def kill_together(
    store: Store, name: str, config: RunConfig, processes: int, after_s: float, victim: int
) -> dict[str, Any] | None:
    """Train a run in several processes and kill one of them after some seconds: that of the rank
    `victim`, or the agent where there is no such rank. None where all had ended before."""
    run = jobs.start(store, name, config, processes)
    agent = run.parse(layout.JOB, Job).pid
    time.sleep(after_s)
    ranks = ranks_of(agent)
    if not run.is_alive():
        return None
    seen = run.status().step
    os.kill(ranks.get(victim, agent), signal.SIGKILL)
    ended(run)
    left = [pid for pid in ranks.values() if psutil.pid_exists(pid)]
    state, written = run.status().state, run.weights_step()
    if state != "finished":
        time.sleep(3.0)  # an agent's processes see within a second that it is gone
        left = [pid for pid in ranks.values() if psutil.pid_exists(pid)]
        jobs.resume(run, processes=processes)
        ended(run)
    steps = [record["step"] for record in run.history()[0] if record["kind"] == "step"]
    finished = run.status().state == "finished" and steps == sorted(set(steps))
    return {
        "family": config.family,
        "victim": f"rank {victim}" if victim in ranks else "agent",
        "after_s": round(after_s, 3),
        "state": state,
        "saved_step": written,
        "seen_step": seen,
        "in_a_save": False,
        "opens": written is None or load_run(run).step == run.weights_step(),
        "resumes": not left,
        "finished": finished,
    }


def kills_together(
    store: Store, count: int, seed: int, epochs: int, processes: int
) -> list[dict[str, Any]]:
    """As `kills`, of runs that several processes train; the agent is killed as often as each."""
    luck = random.Random(seed)
    undisturbed, lasts = {}, {}
    for family in FAMILIES:
        started = time.monotonic()
        run = ended(jobs.start(store, f"{family}-1", config_of(family, epochs), processes))
        lasts[family], undisturbed[family] = time.monotonic() - started, outcome(run)
    found: list[dict[str, Any]] = []
    number = 0
    while len(found) < count:
        number += 1
        family = list(FAMILIES)[len(found) % len(FAMILIES)]
        victim, moment = luck.randrange(processes + 1), luck.uniform(0, lasts[family])
        name, config = f"killed-{number}", config_of(family, epochs)
        each = kill_together(store, name, config, processes, moment, victim)
        if each is not None:
            each["identical"] = equal(outcome(store.get(name)), undisturbed[family])
            found.append(each)
            print(f"{len(found):3}  {each['victim']:<6}  {in_a_row(each)}", file=sys.stderr)
    return found


def in_a_row(each: dict[str, Any]) -> str:
    """One kill as a line of the table."""
    saved = "nothing saved" if each["saved_step"] is None else f"step {each['saved_step']} saved"
    where = "in a save" if each["in_a_save"] else ""
    verdict = "identical" if each["identical"] else "DIFFERENT"
    return (
        f"{each['family']:<11} after {each['after_s']:6.2f} s, at step {each['seen_step']:2}, "
        f"{saved:<13} {where:<9} {each['state']}, then {verdict}"
    )


def report(found: list[dict[str, Any]]) -> dict[str, Any]:
    """How many of all did what."""
    asked = ("in_a_save", "opens", "resumes", "finished", "identical")
    return {
        "kills": len(found),
        **{name: sum(each[name] for each in found) for name in asked},
        "states": sorted({each["state"] for each in found}),
        "torch": torch.__version__,
        "each": found,
    }


def main(
    count: Annotated[int, typer.Option(min=1, help="Workers to kill.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    epochs: Annotated[int, typer.Option(min=2, help="Of every run, 5 steps each.")] = 10,
    processes: Annotated[int, typer.Option(min=1, help="That train each run together.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Kill training processes at random moments, resume each, compare with undisturbed ones."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        if processes > 1:
            found = kills_together(store, count, seed, epochs, processes)
        else:
            found = kills(store, count, seed, epochs)
    result = report(found)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        counts = ", ".join(f"{result[name]} {name}" for name in ("opens", "resumes", "identical"))
        print(f"{result['kills']} kills, {result['in_a_save']} of them in a save: {counts}.")
    if result["identical"] < result["kills"]:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
