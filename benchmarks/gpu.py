"""Every family on a GPU, and images/s beside both rivals on the same card: `make test-gpu`.

Each family trains some steps, is stopped, saved, resumed and measured: what it ends with has to be,
to the bit, what it ends with unstopped. Then the sides of `benchmarks.training` train there, our
worker also with `train.compile`, the compiling left out. `--device cpu` takes the same way in tiny
sizes, which checks the way and measures nothing.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks import training
from benchmarks.workloads import ON_A_GPU
from vae_core import process

if TYPE_CHECKING:
    import torch

    from vae_core.config import DataConfig, RunConfig
    from vae_core.data import Dataset
    from vae_core.models import LatentModel
    from vae_core.objective import Objective
    from vae_core.runs import Store
    from vae_core.training.loop import Loop


def family_row(family: str, store: Store, device: str) -> dict[str, Any]:
    """Train, stop, save, resume and measure one family: what came of it."""
    import torch

    from vae_core.config import parse_config
    from vae_core.families import complete
    from vae_core.training.checkpoint import load_state, save_checkpoint
    from vae_core.training.events import Noted, Skipped, Validated

    config = complete(parse_config(_small(family, device)))
    start = time.perf_counter()
    whole = _loop(config)
    events = list(whole.run())
    halfway = _loop(config)
    for _ in halfway.run():
        if halfway.step >= halfway.total_steps // 2:
            break
    run = store.create(family, config)
    with run.lock():
        save_checkpoint(run, halfway.checkpoint())
        resumed = _loop(config, load_state(run))
    before = resumed.step
    list(resumed.run())
    ours, theirs = (_flat(each.players.state_dict()) for each in (whole, resumed))
    differ = [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]
    totals = [event.measurement.total for event in events if isinstance(event, Validated)]
    said = [event.message for event in events if isinstance(event, Noted | Skipped)]
    return {
        "family": family,
        "steps": whole.step,
        "resumed_at": before,
        "validation": totals[-1],
        "seconds": round(time.perf_counter() - start, 2),
        "differ": differ,
        "said": said,
        "ok": not differ and not said and 0 < before < whole.step and math.isfinite(totals[-1]),
    }


def _small(family: str, device: str) -> dict[str, Any]:
    """A configuration of six steps on scikit-learn's digits."""
    return {
        "family": family,
        "data": {"dataset": "digits", "image_size": 16, "limit": 192},
        "model": {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 32}},
        "train": {
            "epochs": 1, "batch_size": 32, "threads": 1, "device": device,
            "augmentation": "flip+shift", "preview_every": 1,
        },
    }  # fmt: skip


@cache
def _digits(data: DataConfig) -> Dataset:
    """All families learn from the same images, which nobody changes."""
    from vae_core.data import load_dataset

    return load_dataset(data)


def _loop(config: RunConfig, state: Any = None) -> Loop:
    """The loop as the worker puts it together."""
    from vae_core.run_data import data_card
    from vae_core.training.device import choose_device
    from vae_core.training.loop import Loop

    dataset = _digits(config.data)
    model, objective = _built(config, data_card(dataset), choose_device(config.train.device))
    return Loop(config, dataset, model, objective, state)


def _built(config: RunConfig, card: Any, device: torch.device) -> tuple[LatentModel, Objective]:
    import torch

    from vae_core.families import build

    torch.manual_seed(config.train.seed)
    model, objective = build(config, card)
    return model.to(device).to(memory_format=torch.channels_last), objective.to(device)


def _flat(state: Any, name: str = "") -> dict[str, torch.Tensor]:
    from vae_core.training.stability import named_tensors

    return dict(named_tensors(state, name))


# --- speed ----------------------------------------------------------------------------------------

AIMS = {"W1": 5.0, "W3": 2.0}
"""How many times as fast as either rival we want to be."""

SIDES = ("ours", "ours_compiled", "tutorial", "pythae")


def sides_here(device: str) -> list[str]:
    """Those that can be measured: pythae where it is installed, compiled graphs on a GPU."""
    here = {"pythae": find_spec("pythae") is not None, "ours_compiled": device != "cpu"}
    return [side for side in SIDES if here.get(side, True)]


def speeds(name: str, device: str, rounds: int) -> dict[str, Any]:
    """What `benchmarks.training` tells of a workload, on a device; of two steps on the CPU."""
    tiny = {"epochs": 1, "images": 1} if device == "cpu" else {}
    with training.prepared(ON_A_GPU[name], None, device=device, **tiny) as folder:
        return training.compare(name, folder, sides_here(device), rounds) | {"aim": AIMS[name]}


def main(
    device: Annotated[str, typer.Option(help="cuda, or cpu for the same way in tiny sizes.")],
    only: Annotated[str, typer.Option(help="Families, by commas; else all.")] = "",
    workloads: Annotated[str, typer.Option(help="W1, W3 or both, by a comma.")] = "W1,W3",
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every family on a GPU and measure training there beside its rivals."""
    process.prepare()
    import torch

    from vae_core.cli.options import print_table
    from vae_core.errors import UserError
    from vae_core.families import families
    from vae_core.runs import Store
    from vae_core.training.device import choose_device, describe, make_exact

    try:
        chosen = choose_device(device)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    make_exact(chosen)
    names = only.split(",") if only else [entry.name for entry in families]
    with tempfile.TemporaryDirectory() as store:
        rows = [family_row(name, Store(Path(store)), device) for name in names]
    tiny = chosen.type == "cpu"
    asked = training.chosen(workloads, list(ON_A_GPU), "--workloads")
    measured = {name: speeds(name, device, rounds) for name in asked}
    result = {
        "device": describe(chosen), "torch": version("torch"), "tiny": tiny, "families": rows,
        "workloads": measured,
    }  # fmt: skip
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{result['device']}, torch {torch.__version__}")
        print_table([
            ("family", "steps", "resumed at", "validation", "resumed exactly"),
            *(
                (row["family"], str(row["steps"]), str(row["resumed_at"]),
                 f"{row['validation']:.2f}", "yes" if row["ok"] else f"NO: {row['differ'][:3]}")
                for row in rows
            ),
        ])  # fmt: skip
        for name, each in measured.items():
            shown = [key for key in each if key in (*sides_here(device), "aim") or "ratio" in key]
            told = ", ".join(f"{key} {each[key]:,.4g}" for key in shown if each[key] is not None)
            print(f"{name}, images/s: {told}{' (tiny: no measurement)' if tiny else ''}")
    if asked and find_spec("pythae") is None:
        print("pythae is not installed here, so it is not among the rivals.", file=sys.stderr)
    if wrong := [row["family"] for row in rows if not row["ok"]]:
        print(f"error: not resumed to the same weights: {', '.join(wrong)}.", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
