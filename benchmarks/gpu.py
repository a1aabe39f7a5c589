"""Every family on a GPU, and images/s beside both rivals on the same card: `make test-gpu`.

Each family trains some steps, is stopped, saved, resumed and measured: what it ends with has to be,
to the bit, what it ends with unstopped. Then our worker, a tutorial's loop and pythae's trainer
train the same networks on the same images in turns. `--device cpu` takes the same way in tiny
sizes, which checks the way and measures nothing.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

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
            "augmentation": "flip+shift",
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


@dataclass(frozen=True)
class Workload:
    """A preset on so many images of noise: what they show costs no time. Aims: how many times as
    fast as either rival we want to be."""

    preset: str
    shape: tuple[int, int, int]
    images: int
    batch: int
    epochs: int
    aim: float

    def tiny(self) -> Workload:
        """The same network for two steps."""
        return Workload(self.preset, self.shape, 96, 40, 1, self.aim)

    def config(self, place: Path, device: str, compiled: bool) -> RunConfig:
        """Our run on images that lie in `place`."""
        from vae_core.families import complete
        from vae_core.presets import presets

        data = {
            "dataset": "folder", "data_dir": str(place), "image_size": self.shape[1], "limit": None,
            "validation_fraction": 0.1,
        }  # fmt: skip
        train = {
            "epochs": self.epochs, "batch_size": self.batch, "device": device, "compile": compiled,
        }  # fmt: skip
        return complete(presets[self.preset].config.updated({"data": data, "train": train}))


WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload("course-vae", (1, 28, 28), images=60_000, batch=512, epochs=5, aim=5.0),
    "W3": Workload("pytorch-vae", (3, 64, 64), images=12_000, batch=64, epochs=3, aim=2.0),
}


@dataclass(frozen=True)
class Task:
    """What a side is to train: our configuration, the images of its training part, uint8
    [N, C, H, W], and a folder of its own."""

    config: RunConfig
    images: np.ndarray
    folder: Path

    def network(self) -> tuple[LatentModel, Objective, torch.device]:
        """The network that all sides train, and its loss."""
        from vae_core.runs import DataCard
        from vae_core.training.device import choose_device

        device = choose_device(self.config.train.device)
        n, *shape = self.images.shape
        card = DataCard(dataset="noise", image_shape=tuple(shape), n_train=n, n_validation=n // 10)
        return *_built(self.config, card, device), device


def ours(task: Task) -> float:
    """Our worker, with all that a run records; seconds from its first event to its last."""
    from vae_core.runs import Store
    from vae_core.training.worker import work

    times: list[float] = []

    def listeners(total_steps: int, first_step: int) -> Iterable[Callable[[Any], None]]:
        return [lambda event: times.append(time.perf_counter())]

    work(Store(task.folder).create("bench", task.config), listeners)
    return times[-1] - times[0]


def ours_compiled(task: Task) -> float:
    """The same with `train.compile`, the compiling left out: it is done before the first event."""
    config = task.config.updated({"train": {"compile": True}})
    return ours(Task(config, task.images, task.folder))


def tutorial(task: Task) -> float:
    """The loop that tutorials teach: a transform for each sample, a DataLoader, `.item()` on every
    loss, a validation pass and saved weights after each epoch."""
    import torch
    from torch.utils import data
    from torchvision import transforms

    from vae_core.objective import MODEL
    from vae_core.types import Context, total

    model, objective, device = task.network()
    transform, pictures = transforms.ToTensor(), task.images.transpose(0, 2, 3, 1).copy()

    class Samples(data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, index: int) -> torch.Tensor:
            return transform(pictures[index])

    samples = Samples()
    train = task.config.train
    pinned = device.type == "cuda"
    loader = data.DataLoader(samples, train.batch_size, shuffle=True, pin_memory=pinned)
    held_out = data.Subset(samples, range(len(samples) // 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=train.learning_rate)

    def loss_of(x: torch.Tensor) -> torch.Tensor:
        x, context = x.to(device), Context(step=0)
        return total(objective.losses(x, objective(model, x, context), context)[MODEL])

    start = time.perf_counter()
    for _ in range(train.epochs):
        model.train(), objective.train()
        for x in loader:
            loss = loss_of(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        model.eval(), objective.eval()
        with torch.no_grad():
            for x in data.DataLoader(held_out, train.batch_size):
                loss_of(x).item()
        torch.save(model.state_dict(), task.folder / "model.pt")
    return time.perf_counter() - start


def pythae(task: Task) -> float:
    """pythae's trainer around the same network, its data set in memory as floats."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    model, _, device = task.network()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> ModelOutput:
            posterior = self.model.encode(x)
            return ModelOutput(embedding=posterior.mu, log_covariance=posterior.logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = model.decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=model.picture(self.decoder(z)))

    x = torch.from_numpy(task.images).float() / 255
    shape, train = tuple(x.shape[1:]), task.config.train
    peer = BetaVAEConfig(
        input_dim=shape, latent_dim=task.config.model.latent_dim, reconstruction_loss="mse"
    )
    trainer = BaseTrainer(
        BetaVAE(peer, encoder=Encoder(), decoder=Decoder()),
        BaseDataset(x, torch.zeros(len(x))),
        BaseDataset(x[: len(x) // 10], torch.zeros(len(x) // 10)),
        BaseTrainerConfig(
            output_dir=str(task.folder),
            num_epochs=train.epochs,
            learning_rate=train.learning_rate,
            per_device_train_batch_size=train.batch_size,
            per_device_eval_batch_size=train.batch_size,
            no_cuda=device.type != "cuda",
        ),
    )
    start = time.perf_counter()
    with redirect_stdout(sys.stderr):  # it tells of itself, where our JSON belongs
        trainer.train()
    return time.perf_counter() - start


SIDES: Mapping[str, Callable[[Task], float]] = {
    "ours": ours,
    "ours_compiled": ours_compiled,
    "tutorial": tutorial,
    "pythae": pythae,
}


def sides_here(device: str) -> Iterator[str]:
    """Those that can be measured: pythae where it is installed, compiled graphs on a GPU."""
    for name in SIDES:
        missing = name == "pythae" and find_spec("pythae") is None
        if not missing and not (name == "ours_compiled" and device == "cpu"):
            yield name


def speeds(workload: Workload, device: str, rounds: int) -> dict[str, Any]:
    """Images/s of every side, medians over rounds in which they take turns, and our ratios."""
    random = np.random.default_rng(0)
    n, names = workload.images, list(sides_here(device))
    found: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as place:
        images = random.integers(0, 256, (n, *workload.shape)).astype(np.uint8)
        path = Path(place) / "images.npy"
        np.save(path, images)
        config = workload.config(path, device, compiled=False)
        training = images[: n - n // 10]
        for number in range(rounds):
            for name in names if number % 2 == 0 else names[::-1]:
                folder = Path(place) / f"{name}-{number}"
                folder.mkdir()
                seconds = SIDES[name](Task(config, training, folder))
                found[name].append(workload.epochs * len(training) / seconds)
                print(f"{workload.preset}: {name} {found[name][-1]:,.0f} images/s", file=sys.stderr)
    medians = {name: statistics.median(each) for name, each in found.items()}
    ratios = {
        f"ratio_{rival}": statistics.median(
            a / b for a, b in zip(found["ours"], found[rival], strict=True)
        )
        for rival in ("tutorial", "pythae")
        if rival in found
    }
    return {**{name: round(each) for name, each in medians.items()}, **ratios, "aim": workload.aim}


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
    asked = [name for name in workloads.split(",") if name]
    measured = {
        name: speeds(WORKLOADS[name].tiny() if tiny else WORKLOADS[name], device, rounds)
        for name in asked
    }
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
            told = ", ".join(f"{key} {value:,.4g}" for key, value in each.items())
            print(f"{name}, images/s: {told}{' (tiny: no measurement)' if tiny else ''}")
    if asked and find_spec("pythae") is None:
        print("pythae is not installed here, so it is not among the rivals.", file=sys.stderr)
    if wrong := [row["family"] for row in rows if not row["ok"]]:
        print(f"error: not resumed to the same weights: {', '.join(wrong)}.", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
