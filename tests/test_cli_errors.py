"""Whatever is wrong with a command is one line on the standard error, and exit status 2."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.engine import trained
from vae_core import process
from vae_core.cli import train as training
from vae_core.cli.app import run as run_command
from vae_core.cli.errors import exit_status
from vae_core.runs import Store

ROOT = Path(__file__).parent.parent
BOMB = "[" * 100_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished run, and others that are damaged in one file each."""
    place = tmp_path_factory.mktemp("store")
    run = trained(place, "good", train={"epochs": 1}, data={"limit": 100})
    for name, content in DAMAGED.items():
        other = Store(place).create(name.replace(".", "-"), run.config())
        for path in run.path.iterdir():
            if path.is_file():
                other.file(path.name).write_bytes(path.read_bytes())
        other.file(name).write_bytes(content)
        if name == "training_state.pt":
            other.set_status(other.status().model_copy(update={"state": "stopped"}))
    for name, state in (("lacks-keys", {"step": 1}), ("is-of-another", {})):
        other = Store(place).create(name, run.config().updated({"model": {"latent_dim": 6}}))
        for path in run.path.iterdir():
            if path.is_file() and path.name != "config.json":
                other.file(path.name).write_bytes(path.read_bytes())
        if state:
            torch.save(state | {"step": run.weights_step()}, other.file("training_state.pt"))
        other.set_status(other.status().model_copy(update={"state": "stopped"}))
    empty = Store(place).create("empty", run.config())
    empty.set_status(run.status().model_copy(update={"state": "stopped", "step": 0}))
    (place / "a-file").write_text("no folder")
    (place / "nothing").mkdir()
    (place / "texts").mkdir()
    (place / "texts" / "a.png").write_text("no picture")
    return Store(place)


DAMAGED = {
    "config.json": b"{",
    "data.json": BOMB.encode(),
    "status.json": b"[]",
    "summary.json": b"[1]",
    "model.safetensors": b"\0" * 100,
    "encodings.safetensors": b"\xff" * 100,
    "training_state.pt": b"no state",
    "parts.safetensors": b"{}",
}

# Of the words below, {store} is the folder of the runs.
BAD: tuple[str, ...] = (
    # what the command line itself does not understand
    "bogus",
    "--bogus",
    "show",
    "show a b",
    "train --bogus",
    "train --epochs",
    "train --epochs many",
    "train extra",
    "evaluate good --split train",
    "encode good --dimensions 4",
    "encode good --seed -1",
    "export good",
    "prior good --epochs 0",
    "sample good",
    "sample good --out x.png -n 0",
    "sweep",
    "sweep --name x --sampler fast",
    "sweep-tell x dance",
    "resume",
    # runs that are not there, or no longer whole
    "show nope",
    "show ../good",
    "show config-json",
    "show status-json",
    "show summary-json",
    "show data-json",
    "evaluate nope",
    "evaluate empty",
    "evaluate data-json",
    "evaluate model-safetensors",
    "evaluate parts-safetensors",
    "evaluate good --split test",
    "encode encodings-safetensors --split cached",
    "encode good --split trained",
    "encode good --split cached --map tsna",
    "export good --to excel",
    "export empty --to csv",
    "sample good --out {store}/x.png --prior nope",
    "sample good --out {store}/x.png --prior autoregressive",
    "sample good --out {store}/x.png --temperature 0",
    "sample good --out {store}/x.png --temperature nan",
    "sample empty --out {store}/x.png",
    "prior good",
    "prior nope",
    "score good",
    "score empty",
    "complete empty",
    "complete nope",
    "resume nope",
    "resume good",
    "resume config-json",
    "resume training_state-pt",
    "resume lacks-keys",
    "resume is-of-another",
    "evaluate is-of-another",
    "sweep --name nope",
    "sweep-tell nope stop",
    # places that cannot be read or written
    "sample good --out {store}/missing/x.png",
    "sample good --out {store}",
    "export good --to csv --split cached --out {store}/a-file",
    "export good --to csv --split cached --out /proc/nothing",
    "list --store {store}/a-file",
    "show good --store {store}/a-file",
    "train --dataset digits --store {store}/a-file",
    "train --dataset digits --store /proc/runs",
    "evaluate good --data-dir {store}/missing --split test",
    # settings and data that do not go together
    "train --preset nope",
    "train --family nope",
    "train --dataset nope",
    "train --dataset folder",
    "train --dataset folder --data-dir {store}/missing",
    "train --dataset folder --data-dir {store}/nothing",
    "train --dataset folder --data-dir {store}/texts",
    "train --dataset folder --data-dir {store}/a-file",
    "train --dataset digits --epochs 0",
    "train --dataset digits --run ../x",
    "train --dataset digits --run good",
    "train --dataset digits --set nonsense",
    "train --dataset digits --set model.nope=1",
    "train --dataset digits --set train.epochs=many",
    "train --dataset digits --set train.epochs={digits}",
    "train --dataset digits --set model.options={bomb}",
    "train --dataset digits --set train.learning_rate=nan",
    "train --dataset digits --set train.device=cuda --run on-cuda",
    "train --dataset digits --set train.batch_size=100000 --run large-batch",
    "train --dataset digits --set data.limit=-1",
    "sweep --name x --beta a,b --dataset digits",
    "sweep --name x --beta , --dataset digits",
    "sweep --name x --vary nonsense --dataset digits",
    "sweep --name x --vary model.nope=1,2 --dataset digits",
    "sweep --name x --beta 1,2 --sampler tpe --dataset digits",
    "sweep --name x --beta 1 --storage nonsense://x --dataset digits",
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process: torch is here already, and nothing shall end it."""
    monkeypatch.setattr(process, "prepare", lambda: None)
    monkeypatch.setattr(training, "watch_worker", lambda *args: None)


def arguments(words: str, store: Store) -> list[str]:
    replaced = {"store": str(store.path), "bomb": BOMB, "digits": "9" * 5000}
    found = [
        word.format(**replaced) if word.startswith("{") or "={" in word else word
        for word in words.split()
    ]
    without = words.split()[0] in ("bogus", "--bogus", "presets", "families")
    return found if without or "--store" in found else [*found, "--store", str(store.path)]


def one_line(text: str) -> str:
    """The error, after whatever was told before it."""
    assert "Traceback" not in text and text.endswith("\n"), text
    last = text.splitlines()[-1]
    assert last.startswith("error: ") and text.count("error: ") == 1, text
    return last


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(
    words: str, store: Store, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    status = exit_status(lambda: run_command(arguments(words, store)))
    said = capsys.readouterr()
    assert status == 2, said
    assert len(one_line(said.err)) < 1000


def vae(*words: str, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vae_core", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, env=os.environ | changes,
    )  # fmt: skip


def test_too_little_memory_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (lambda: torch.empty(10**15), lambda: np.empty(10**16)):
        assert exit_status(command) == 2
        assert "There is not enough memory" in one_line(capsys.readouterr().err)


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_status(lambda: 1 // 0)


def test_who_reads_no_further_is_not_told(store: Store) -> None:
    done = vae("show", "good", "--json", "--store", str(store.path))
    assert done.stdout is not None and done.stderr is not None
    done.stdout.close()
    assert done.stderr.read() == "" and done.wait() == 141


def test_a_terminal_that_knows_no_umlauts_is_told_all_the_same(store: Store) -> None:
    done = vae("show", "größe", "--store", str(store.path), PYTHONIOENCODING="ascii")
    out, err = done.communicate()
    assert done.returncode == 2 and out == ""
    assert "'gr\\xf6\\xdfe'" in one_line(err)


def test_sigterm_ends_a_map_within_two_seconds(tmp_path: Path) -> None:
    """t-SNE is one call into a library, which answers a signal when it comes back."""
    shutil.copytree(ROOT / "trained_models" / "sprites-vae", tmp_path / "sprites-vae")
    command = ("encode", "sprites-vae", "--split", "cached", "--map", "tsne", "--dimensions", "3")
    done = vae(*command, "--store", str(tmp_path))
    assert done.stderr is not None
    assert done.stderr.readline() == "Finding the neighbours of every image\n"
    before, start = psutil.Process(done.pid).cpu_times(), time.monotonic()
    done.send_signal(signal.SIGTERM)
    assert done.stderr.read().splitlines()[-1] == "Stopped."
    used = os.wait4(done.pid, 0)[2]
    seconds = time.monotonic() - start
    computed = used.ru_utime + used.ru_stime - before.user - before.system
    # On a machine that is busy with other work it may have had to wait for its turn.
    assert seconds < 2 or (seconds < 10 and computed < 1), (seconds, computed)


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(lambda: signal.raise_signal(signal.SIGINT)) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_there_are_more_than_were_tried() -> None:
    assert len(BAD) > 41
