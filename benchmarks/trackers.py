"""Every tracker against its own library: a training is killed and resumed, and each is read back.

    python -m benchmarks.trackers [--only tensorboard,mlflow]

Printed for each: how many points of the training's and the validation's loss its own reader finds,
whether they are those of the run's history (each step once, the same values), how many pictures,
whether both sessions are one run, and whether a key that was in the environment lies in any file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vae_core.locations import module_command, module_environment
from vae_core.runs import Run, Store, layout
from vae_core.training.trackers import trackers

Points = list[tuple[int, float]]
CURVES = {"train/total": "step", "validation/total": "validation"}
KEYS = {"WANDB_API_KEY": "k" * 40, "MLFLOW_TRACKING_TOKEN": "m" * 40, "HF_TOKEN": "hf_" + "t" * 37}


class Read:
    """What a tracker's own reader finds: curves, pictures, and the runs that there are."""

    def __init__(self, curves: dict[str, Points], pictures: int, runs: set[str]) -> None:
        self.curves, self.pictures, self.runs = curves, pictures, runs


def read_tensorboard(folder: Path) -> Read:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "killed"), {"images": 0, "scalars": 0})
    found.Reload()
    curves = {name: [(e.step, e.value) for e in found.Scalars(name)] for name in CURVES}
    runs = {path.parent.name for path in folder.glob("*/events*")}
    return Read(curves, len(found.Images("previews/samples")), runs)


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of a file that `wandb` syncs, which it reads itself by a program in Go: LevelDB's
    log format (https://github.com/google/leveldb/blob/main/doc/log_format.md) behind 7 bytes."""
    at, record = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # no head fits into the rest of a block
            at += 32768 - at % 32768
            continue
        size, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def read_wandb(folder: Path) -> Read:
    from wandb.proto import wandb_internal_pb2

    curves: dict[str, Points] = {name: [] for name in CURVES}
    runs: set[str] = set()
    pictures = 0
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        for data in log_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                runs.add(record.run.run_id)
            row = {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            step = record.history.step.num
            for name in CURVES.keys() & row.keys():
                curves[name].append((step, row[name]))
            pictures += any(name.startswith("previews/samples") for name in row)
    return Read(curves, pictures, runs)


def read_mlflow(folder: Path) -> Read:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("latent-workbench")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    run = found[0].info.run_id
    curves = {
        name: sorted((m.step, m.value) for m in client.get_metric_history(run, name))
        for name in CURVES
    }
    pictures = [
        each.path for each in client.list_artifacts(run, "images")
        if "samples" in each.path and each.path.endswith(".png")
    ]  # fmt: skip
    return Read(curves, len(pictures), {each.info.run_id for each in found})


def read_trackio(folder: Path) -> Read:
    os.environ["TRACKIO_DIR"] = str(folder)
    from trackio.sqlite_storage import SQLiteStorage

    runs = SQLiteStorage.get_runs("latent-workbench")
    rows = [row for run in runs for row in SQLiteStorage.get_logs("latent-workbench", run)]
    curves = {name: [(r["step"], r[name]) for r in rows if name in r] for name in CURVES}
    return Read(curves, sum("previews/samples" in row for row in rows), set(runs))


READERS: dict[str, Callable[[Path], Read]] = {
    "tensorboard": read_tensorboard,
    "wandb": read_wandb,
    "mlflow": read_mlflow,
    "trackio": read_trackio,
}


def _command(store: Path, *words: str) -> subprocess.Popen[bytes]:
    environment = module_environment(VAE_STORE=str(store), **KEYS)
    return subprocess.Popen(
        module_command("vae_core", *words), env=environment, stderr=subprocess.DEVNULL
    )


def _saves(run: Run) -> int:
    return sum(each.get("kind") == "checkpoint" for each in run.each_record(layout.HISTORY))


def train_killed_and_resumed(store: Path, names: list[str]) -> Run:
    """A run whose worker was killed -9 once it had saved a few times, and which was resumed."""
    settings = {
        "train.track": ",".join(names), "train.checkpoint_every": 10, "train.log_every": 1,
        "train.epochs": 20, "train.precision": "fp32", "data.limit": 600, "train.threads": 1,
    }  # fmt: skip
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    process = _command(store, "train", "--dataset", "digits", "--run", "killed", *words)
    while process.poll() is None:
        time.sleep(0.2)
        if (store / "killed").is_dir() and _saves(Store(store).get("killed")) >= 3:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    run = Store(store).get("killed")
    step = max(int(each.get("step", 0)) for each in run.each_record(layout.HISTORY))
    print(f"killed at step {step}, after {_saves(run)} saves, with weights of {run.weights_step()}")
    if _command(store, "resume", "killed").wait():
        raise SystemExit("it could not be resumed")
    return run


def report(run: Run, names: list[str]) -> bool:
    """Print a line for each tracker; whether all of them hold what the history does."""
    history: dict[str, Points] = {
        name: [
            (r["step"], r["total"]) for r in run.each_record(layout.HISTORY) if r["kind"] == kind
        ]
        for name, kind in CURVES.items()
    }
    previews = sum(each["kind"] == "preview" for each in run.each_record(layout.HISTORY))
    notes = [r["message"] for r in run.each_record(layout.HISTORY) if r["kind"] == "note"]
    print("  ".join(f"history: {name} {len(points)}" for name, points in history.items()), *notes)
    good = True
    for name in names:
        folder = run.file(f"{layout.TRACK}/{name}")
        found = READERS[name](folder)
        same = {
            curve: [s for s, _ in points] == [s for s, _ in found.curves[curve]]
            and all(
                abs(a - b) <= 1e-5 * abs(a)
                for (_, a), (_, b) in zip(points, found.curves[curve], strict=True)
            )
            for curve, points in history.items()
        }
        files = [path for path in folder.rglob("*") if path.is_file()]
        keys = sum(key.encode() in path.read_bytes() for path in files for key in KEYS.values())
        links = sum(path.is_symlink() for path in folder.rglob("*"))
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        points = {curve: len(found.curves[curve]) for curve in CURVES}
        ok = all(same.values()) and found.pictures == previews and len(found.runs) == 1
        good = good and ok and not keys and not links
        print(
            f"{name}: {points}, as the history: {same}, pictures {found.pictures} of {previews}, "
            f"runs {len(found.runs)}, keys found {keys}, links {links}, {megabytes:.1f} MB"
        )
    return good


def main() -> None:
    """Train, kill, resume, read back; exit status 1 where something is not as recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(each.name for each in trackers))
    names = parser.parse_args().only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        run = train_killed_and_resumed(Path(folder), names)
        sys.exit(0 if report(run, names) else 1)


if __name__ == "__main__":
    main()
