"""A worker that is killed for good at one operation on files of a save; run as a program.

`python -m tests.killed STORE AT_STEP`: for each operation of the save of that step a run of the
same settings is trained in a process that SIGKILLs itself right before the operation, then resumed
in another process. One line of JSON for each says what was found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.engine import tiny
from vae_core.loading import load_run
from vae_core.runs import Run, Store
from vae_core.training import recorders
from vae_core.training.events import Checkpoint
from vae_core.training.worker import work

OPERATIONS = ("replace", "fsync")
SETTINGS: dict[str, Any] = {
    "family": "factor-vae",
    "objective": {"critic_units": 8, "critic_layers": 1},
    "model": {"backbone": "mlp", "options": {"hidden": [8]}},
    "data": {"limit": 100},
    "train": {"epochs": 2, "batch_size": 32, "checkpoint_every": 2, "preview_every": 100},
}


def train(run: Run, at_step: int, at_operation: int) -> None:
    """Train; die before operation number `at_operation` of the save of `at_step`."""
    counted = -1

    def dying(operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal counted
            if counted >= 0:
                if counted == at_operation:
                    os.kill(os.getpid(), signal.SIGKILL)
                counted += 1
            return operation(*args, **kwargs)

        return call

    save = recorders.save_checkpoint

    def watched(of: Run, checkpoint: Checkpoint) -> None:
        nonlocal counted
        counted = 0 if checkpoint.step == at_step else -1
        save(of, checkpoint)
        if checkpoint.step == at_step:
            run.path.with_suffix(".operations").write_text(str(counted))
        counted = -1

    recorders.save_checkpoint = watched
    for name in OPERATIONS:
        setattr(os, name, dying(getattr(os, name)))
    work(run)


def in_child(task: Callable[[], object]) -> int:
    """Do something in a process of its own; its exit status, negative for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        task()
        code = 0
    finally:
        os._exit(code)


def equal(a: Run, b: Run) -> bool:
    """Whether two runs hold the same weights, those of the objective included."""
    ours, theirs = load_file(a.file("model.safetensors")), load_file(b.file("model.safetensors"))
    same = ours.keys() == theirs.keys()
    return same and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def found_in(run: Run, whole: Run) -> dict[str, Any]:
    """What a reader finds after the kill, and what a resume makes of it."""
    before = run.status().state
    opens = run.weights_step()
    if opens is not None:
        load_run(run)
    code = in_child(lambda: work(run))
    return {
        "state": before,
        "opened": opens,
        "resumed": code,
        "ended": run.status().state,
        "weights": run.weights_step(),
        "summary": run.summary().get("step"),
        "equal": equal(run, whole),
        "left": sorted(
            p.name for p in run.path.rglob("*") if ".writing-" in p.name or "next" in p.name
        ),
    }


def main(store: Store, at_step: int) -> None:
    """Kill before every operation in turn, and after the last."""
    config = tiny(**SETTINGS)
    whole, counted = store.create("whole", config), store.create("counted", config)
    work(whole)  # here, so that children find all modules imported
    assert in_child(lambda: train(counted, at_step, -2)) == 0
    operations = int(counted.path.with_suffix(".operations").read_text())
    for number in range(operations):
        run = store.create(f"killed-{number}", config)
        code = in_child(lambda run=run, number=number: train(run, at_step, number))
        assert code == -signal.SIGKILL, code
        print(json.dumps({"operation": number, **found_in(run, whole)}), flush=True)


if __name__ == "__main__":
    main(Store(Path(sys.argv[1])), int(sys.argv[2]))
