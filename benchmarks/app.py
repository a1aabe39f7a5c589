"""The real app over a store of its own, and runs for it to show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from vae_core.locations import DEFAULT_STORE, STORE_VARIABLE
from vae_core.runs import Job, Run, Store, layout

ROOT = Path(__file__).resolve().parent.parent

CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""What a browser is started with that nobody looks at."""

SIZED = {
    "decoder-2m": {"size": 32, "latent": 64, "channels": [72, 144, 288]},
    "decoder-9m": {"size": 64, "latent": 128, "channels": [96, 192, 384, 768]},
}
"""Convolutional decoders for colour images, of about 2 and 9 million weights."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def served(
    store: Store, port: int | None = None, options: Sequence[str] = (), log: Path | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """The app over `store`: its address and its process, once it answers.

    Args:
        options: more of `streamlit run`'s.
        log: where its log is kept.

    Raises:
        RuntimeError: with its log, when it does not start.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    url = f"http://127.0.0.1:{port}"
    command += ["--server.port", str(port), *options]
    with answering(command, url, store, log=log) as process:
        yield url, process


@contextmanager
def answering(
    command: Sequence[str], url: str, store: Store, cwd: Path = ROOT, log: Path | None = None
) -> Iterator[psutil.Process]:
    """The process of `command`, which serves the app over `store`, once it answers at `url`.

    Args:
        log: where it writes what it says; else nobody reads it.

    Raises:
        RuntimeError: with its log, when it does not start.
    """
    with tempfile.TemporaryFile() if log is None else open(log, "w+b") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | {STORE_VARIABLE: str(store.path)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Linux shares the processor among sessions first
        )
        try:
            if not _answers(f"{url}/_stcore/health", process):
                output.seek(0)
                said = output.read().decode(errors="replace")
                raise RuntimeError(f"The app did not start:\n{said}")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@contextmanager
def training(
    store: Store, name: str = "background", preset: str = "sprites-vae", threads: int | None = None
) -> Iterator[Run]:
    """A run that trains in the background, as the app starts them, once it makes steps.

    Raises:
        RuntimeError: with its log, when it does not begin to train.
    """
    from vae_core.presets import presets
    from vae_core.training.jobs import start

    config = presets[preset].config.updated({"train": {"epochs": 10_000, "threads": threads}})
    run = start(store, name, config)
    try:
        deadline = time.monotonic() + 120
        while run.status().step < 20:
            if time.monotonic() > deadline or not run.is_alive():
                raise RuntimeError(f"The background run does not train:\n{run.log_tail()}")
            time.sleep(0.5)
        yield run
    finally:
        process = psutil.Process(run.parse(layout.JOB, Job).pid)
        process.kill()
        process.wait(20)


def furnish(store: Store) -> None:
    """The shipped MNIST run and one run of each size, trained for two steps by the command line."""
    shutil.copytree(DEFAULT_STORE / "mnist-vae", store.path / "mnist-vae")
    for name, sized in SIZED.items():
        settings = {
            "data.image_size": sized["size"],
            "data.channels": 3,
            "data.limit": 64,
            "model.latent_dim": sized["latent"],
            "model.options.channels": sized["channels"],
            "train.batch_size": 32,
        }
        command = [sys.executable, "-m", "vae_core", "train", "--dataset", "digits"]
        command += ["--epochs", "1", "--run", name, "--store", str(store.path)]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        # Their encodings say nothing after two steps: sliders go by the prior's deviation.
        store.get(name).file("encodings.safetensors").unlink()


def decoder_weights(run: Run) -> int:
    """Weights of the half that decodes."""
    from vae_core.loading import load_run

    return sum(weight.numel() for weight in load_run(run).model.decoder.parameters())


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)  # what `benchmarks.starting` can tell apart
    return False
