"""Two processes against one: whether they train the same, and how fast.

`equality` trains every family for some steps with one process and with two, on the same batches,
and says how far losses and weights lie apart. `scaling` takes the course network: one process with
two threads against two processes with one thread each, in turns.
"""

from __future__ import annotations

import json
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.workloads import config_of
from vae_core.config import RunConfig, parse_config
from vae_core.data import Dataset, load_dataset
from vae_core.data.batches import epoch_batches
from vae_core.families import build, complete, families
from vae_core.locations import module_environment
from vae_core.process import cores
from vae_core.run_data import data_card
from vae_core.training.distributed import ALONE, Distributed, join
from vae_core.training.events import Stepped, Validated
from vae_core.training.loop import Loop

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

STEPS = 20
TOLERANCE = 1e-4

TINY: dict[str, Any] = {
    "data": {"dataset": "digits", "image_size": 16, "limit": 120},
    "model": {"latent_dim": 4, "options": {"channels": [8, 16], "hidden": 32}},
    "train": {
        "threads": 1,
        "log_every": 1,
        "device": "cpu",
        "precision": "fp32",
        "augmentation": "flip+shift",
        "preview_every": 100,
    },
}
SETTINGS: dict[str, dict[str, Any]] = {
    "factor-vae": {"critic_units": 32, "critic_layers": 2},
    "aae": {"discriminator_units": 32, "discriminator_every": 2},
    "vae-gan": {"discriminator_channels": 4, "discriminator_every": 2},
    "vamp": {"components": 8},
    "vq-vae": {"codes": 16},
    "vae": {"samples": 2},
    "iwae": {"samples": 3},
}
BATCH_NORM = {"backbone": "conv-bn", "options": {"channels": [8, 16]}}
CALM = {"adam_epsilon": 1e-2, "learning_rate": 1e-4, "batch_size": 32}
"""A bias before batch normalisation has a gradient of nothing but rounding, which Adam divides by
itself: a whole step in a direction that no two machines agree on. With this it stays one of
nothing. The last batch of an epoch has 24 images: statistics of one magnify every rounding. Steps
are small: a value that rounding takes across the corner of a ReLU has another gradient."""
OTHERS: dict[str, dict[str, Any]] = {
    "vae, batch norm, σ learned": {
        "family": "vae",
        "model": {**BATCH_NORM, "likelihood": "gaussian-optimal"},
        "train": CALM,
    },
    "vamp, batch norm": {
        "family": "vamp",
        "model": BATCH_NORM,
        "objective": {"components": 8},
        "train": CALM,
    },
    "hierarchical, batch norm, 2 draws": {
        "family": "hierarchical",
        "model": BATCH_NORM,
        "objective": {"samples": 2},
        "train": CALM,
    },
    "vae, average of the weights, warm-up": {
        "family": "vae",
        "train": {"ema": 0.9, "warmup_steps": 5},
    },
    "hierarchical, balanced, spectral": {
        "family": "hierarchical",
        "objective": {
            "schedule": "linear",
            "schedule_steps": 12,
            "kl_balance": True,
            "spectral": 0.1,
        },
    },
    "sparse, kl": {"family": "sparse", "objective": {"penalty": "kl", "measure": "absolute"}},
    "rae, gradient": {"family": "rae", "objective": {"penalty": "gradient"}},
    "dip-vae, kind I": {"family": "dip-vae", "objective": {"kind": "I"}},
    "beta-tcvae, weighted": {"family": "beta-tcvae", "objective": {"estimator": "weighted"}},
    "vae, Laplace, drawn anew": {
        "family": "vae",
        "model": {"likelihood": "laplace-optimal"},
        "data": {"binarise": "dynamic"},
    },
    "vae, clipped, fewer images than processes": {
        "family": "vae",
        "train": {"gradient_clip": 1.0, "batch_size": 1},
    },
    "vae, in parts": {"family": "vae", "objective": {"samples": 2}, "train": {"accumulate": 3}},
    "vae, compiled": {"family": "vae", "model": {"backbone": "mlp"}, "train": {"compile": True}},
}


def cases() -> dict[str, RunConfig]:
    """What is compared, by name: every family, and what else looks at a whole batch. The last batch
    of an epoch has a single image, so that one of two processes has none."""
    every = {
        family.name: {"family": family.name, "objective": SETTINGS.get(family.name, {})}
        for family in families
    } | OTHERS
    return {name: _case(changes) for name, changes in every.items()}


def _case(changes: dict[str, Any]) -> RunConfig:
    config = parse_config(TINY).updated(changes)
    n = len(_data(config).train)
    batch = changes.get("train", {}).get("batch_size")
    batch = batch or next(size for size in range(20, n) if n % size == 1)
    epochs = -(-STEPS // -(-n // batch))
    return complete(config.updated({"train": {"batch_size": batch, "epochs": epochs}}))


_loaded: dict[str, Dataset] = {}


def _data(config: RunConfig) -> Dataset:
    key = config.data.model_dump_json()
    if key not in _loaded:
        _loaded[key] = load_dataset(config.data)
    return _loaded[key]


def loop_of(config: RunConfig, group: Distributed = ALONE) -> Loop:
    """A run that begins."""
    dataset = _data(config)
    torch.manual_seed(config.train.seed)
    model, objective = build(config, data_card(dataset))
    model.to(memory_format=torch.channels_last)
    return Loop(config, dataset, model, objective, group=group)


def outcome(config: RunConfig, steps: int, group: Distributed = ALONE) -> dict[str, Any]:
    """What the first steps of a run come to: losses, validations, and the weights after them."""
    loop = loop_of(config, group)
    losses: list[float] = []
    measured: list[float] = []
    for event in loop.run():
        if isinstance(event, Stepped):
            losses += [event.total, *event.terms.values()]
        if isinstance(event, Validated):
            found = event.measurement
            measured += [found.total, *found.terms.values(), *(found.kl_per_dim or ())]
            measured += [found.mse or 0.0, found.active_units]
        if loop.step >= steps and isinstance(event, Validated):
            break
    modules = loop.players.modules()
    weights = {f"{m}.{name}": t for m, state in modules.items() for name, t in state.items()}
    return {"losses": losses, "measured": measured, "weights": weights, "step": loop.step}


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """How far two series lie apart at most, as a share of the larger of 1 and the value."""
    if len(one) != len(other):
        return float("inf")
    pairs = zip(one, other, strict=True)
    return max((abs(a - b) / max(1.0, abs(a)) for a, b in pairs), default=0.0)


def weights_apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The same of weights and buffers."""
    return max(
        float(((a.double() - other[name].double()).abs() / a.double().abs().clamp_min(1)).max())
        for name, a in one.items()
        if a.numel()
    )


def start_ranks(
    *arguments: str, module: str = "benchmarks.distributed", world: int = 2, **environment: str
) -> list[subprocess.Popen[str]]:
    """Processes of a module that are to train together, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=module_environment(RANK=str(rank), LOCAL_RANK=str(rank), **together, **environment),
            text=True,
        )
        for rank in range(world)
    ]


def ended(processes: Sequence[subprocess.Popen[str]], timeout_s: float) -> list[int]:
    """How processes of ours ended; those that do not are killed."""
    until = time.monotonic() + timeout_s
    try:
        return [each.wait(max(0.1, until - time.monotonic())) for each in processes]
    finally:
        for each in processes:
            each.kill()


def compared(
    names: Sequence[str], steps: int = STEPS, timeout_s: float = 1000.0
) -> Iterator[tuple[str, float, float]]:
    """For each case how far two processes are from one: in what was recorded, in the weights."""
    with tempfile.TemporaryDirectory() as folder:
        ranks = start_ranks("outcomes", folder, str(steps), *names, OMP_NUM_THREADS="1")
        try:
            torch.set_num_threads(1)
            alone = {name: outcome(case, steps) for name, case in cases().items() if name in names}
        finally:
            codes = ended(ranks, timeout_s)
        assert codes == [0, 0], f"the two processes ended with {codes}"
        together = torch.load(Path(folder) / "0.pt", weights_only=True)
        beside = torch.load(Path(folder) / "1.pt", weights_only=True)
    for name, one in alone.items():
        two = together[name]
        records = max(apart(one[kind], two[kind]) for kind in ("losses", "measured"))
        drift = weights_apart(two["weights"], beside[name]["weights"])
        weights = max(weights_apart(one["weights"], two["weights"]), drift)
        yield name, records, weights


@app.command()
def outcomes(folder: Path, steps: int, names: list[str]) -> None:
    """(One of the processes that are compared with one alone.)"""
    torch.set_num_threads(1)
    group = join(cuda=False)
    found = {name: outcome(case, steps, group) for name, case in cases().items() if name in names}
    torch.save(found, folder / f"{group.rank}.pt")
    group.close()


@app.command()
def equality(
    only: Annotated[list[str] | None, typer.Argument(help="Cases; all without any.")] = None,
) -> None:
    """How far two processes are from one after 20 steps at the same batch."""
    print(f"{'family':44}{'losses':>12}{'weights':>12}")
    worst = 0.0
    for name, records, weights in compared(only or [*cases()]):
        print(f"{name:44}{records:12.1e}{weights:12.1e}", flush=True)
        worst = max(worst, records, weights)
    print(f"furthest apart: {worst:.1e} (allowed: {TOLERANCE:g})")
    raise typer.Exit(worst > TOLERANCE)


WARM_UP = 6
"""Steps that are not timed: libraries get ready in them."""


@app.command()
def speed(folder: Path, threads: int, steps: int) -> None:
    """(One of the processes whose speed is measured, or the only one.)"""
    torch.set_num_threads(threads)
    group = join(cuda=False)
    loop = loop_of(config_of(folder), group)
    started = 0.0
    for batch in islice(cycle(epoch_batches(loop.dataset.train, loop.config.train, 0)), steps):
        if loop.step == WARM_UP:
            group.barrier()
            started = time.perf_counter()
        for _ in loop._step(batch):
            pass
        group.broadcast([])  # the messages of a step, and what is decided by the clock
        group.broadcast([False, False])
    seconds = time.perf_counter() - started
    images = (steps - WARM_UP) * loop.config.train.batch_size
    if group.is_main:
        (folder / "speed.json").write_text(json.dumps({"images_per_s": images / seconds}))
    group.close()


@app.command()
def scaling(
    rounds: Annotated[int, typer.Option(help="Of both, in turns.")] = 5,
    workload: Annotated[str, typer.Option(help="As `benchmarks.training` has it.")] = "W1",
    data_dir: Annotated[Path | None, typer.Option(help="Where MNIST lies.")] = None,
    steps: Annotated[int, typer.Option(help="Of each.")] = 40,
) -> None:
    """One process with a thread a core against a process of one thread a core."""
    from benchmarks.workloads import WORKLOADS

    world = cores()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        WORKLOADS[workload].prepare(place, data_dir, 1, 4096)
        one: list[float] = []
        many: list[float] = []
        for _ in range(rounds):
            for speeds, processes in ((one, 1), (many, world)):
                threads = str(world // processes)
                out = start_ranks(
                    "speed", folder, threads, str(steps), world=processes, OMP_WAIT_POLICY="PASSIVE"
                )
                assert ended(out, 600) == [0] * processes
                speeds.append(json.loads((place / "speed.json").read_text())["images_per_s"])
            print(f"{workload}: 1 × {world} threads {one[-1]:8.0f} images/s, ", end="")
            print(f"{world} × 1 thread {many[-1]:8.0f} images/s, ", end="")
            print(f"{many[-1] / one[-1]:.2f}", flush=True)
    ratios = [two / alone for alone, two in zip(one, many, strict=True)]
    print(f"{workload}: {statistics.median(ratios):.2f} of the speed of one process (median)")
    print(f"{platform.machine()}, {world} cores, torch {torch.__version__}")


if __name__ == "__main__":
    app()
