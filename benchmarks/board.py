"""Gaps of the server while somebody watches a sweep in a store of many runs.

The real app and a real browser. The store has copies of the shipped model, each with another β,
and a sweep over the course VAE at work beside them. A second connection asks the server for its
health all the time: how long it waits for an answer is how long the event loop had no time, and
with it every drag and every live chart.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import typer
from playwright.sync_api import Page, sync_playwright

from benchmarks.app import CHROMIUM, served
from benchmarks.training import ROOT, SHARED
from vae_core.locations import DEFAULT_STORE
from vae_core.presets import presets
from vae_core.runs import Store
from vae_core.sweeps import BETA, Sweep, SweepSpec
from vae_core.sweeps.launch import launch
from vae_core.sweeps.sweep import create_sweep

NAME = "at-work"
BETAS = (0.1, 0.3, 1.0, 3.0, 8.0, 10.0, 30.0, 100.0)
LIMIT_MS = 250.0
ASK_EVERY_S = 0.01


class Asker(threading.Thread):
    """Asks for the server's health until it is told to stop; `waited` in ms, one an answer."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.address = urlsplit(url)
        self.waited: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        assert self.address.hostname is not None
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self.done.wait(ASK_EVERY_S):
            start = time.perf_counter()
            connection.request("GET", "/_stcore/health")
            connection.getresponse().read()
            self.waited.append(1e3 * (time.perf_counter() - start))
        connection.close()


@contextmanager
def asked(url: str, found: dict[str, Any], what: str) -> Iterator[None]:
    """Note under `what` how long answers took within the context."""
    asker = Asker(url)
    asker.start()
    yield
    asker.done.set()
    asker.join(10)
    waited = sorted(asker.waited)
    found[what] = {
        "answers": len(waited),
        "median_ms": round(statistics.median(waited), 1),
        "p99_ms": round(waited[int(0.99 * len(waited))], 1),
        "longest_ms": round(waited[-1], 1),
        "over_limit": sum(ms > LIMIT_MS for ms in waited),
    }


def furnish(store: Store, runs: int) -> None:
    """Copies of the shipped model along a rate–distortion curve."""
    for number, beta in enumerate(np.geomspace(0.1, 10, runs)):
        folder = store.path / f"run-{number:03d}"
        shutil.copytree(DEFAULT_STORE / "mnist-vae", folder)
        run = store.get(folder.name)
        config = run.config().updated({"objective": {"beta": float(beta)}})
        run.write_json("config.json", config)
        kl, recon = 25 / beta**0.4, 80 * beta**0.1
        run.write_json(
            "summary.json", run.summary() | {"kl": kl, "recon": recon, "elbo": -kl - recon}
        )


def begin(store: Store, data_dir: Path) -> Sweep:
    """A sweep that is at work for longer than anybody watches."""
    changes = {"data": {"data_dir": str(data_dir)}, "train": {"epochs": 3}}
    base = presets["course-vae"].config.updated(changes)
    sweep = create_sweep(store, NAME, SweepSpec(base=base, vary={BETA: BETAS}, workers=2))
    launch(sweep)
    while sum(_step(store, entry.run) > 0 for entry in sweep.state().entries) < 2:
        time.sleep(0.3)
    return sweep


def watch(page: Page, url: str, seconds: float) -> dict[str, Any]:
    """The sweep at work, every choice of the board over all runs, and some of them compared."""
    found: dict[str, Any] = {}
    page.goto(f"{url}/tune-beta?run=run-000&tune-tab=Sweep&sweep={NAME}")
    page.locator(".st-key-board").wait_for()
    page.wait_for_timeout(3000)
    with asked(url, found, "sweep at work"):
        page.wait_for_timeout(1e3 * seconds)
    page.goto(f"{url}/tune-beta?run=run-000&tune-tab=Sweep&sweep=all")
    page.locator(".st-key-board .board-picture").first.wait_for()
    page.wait_for_timeout(3000)
    with asked(url, found, "board of all runs"):
        for what in ("Reconstructions", "Traversal", "Samples"):
            page.locator(".st-key-board-what").get_by_text(what, exact=True).click()
            page.wait_for_timeout(1e3 * seconds / 3)
    page.get_by_text("Compare", exact=True).scroll_into_view_if_needed()
    with asked(url, found, "runs compared"):
        page.get_by_text("Compare", exact=True).click()
        page.locator(".same-z-picture").nth(3).wait_for()
    return found


def _step(store: Store, name: str) -> int:
    return store.get(name).status().step if name else 0


def main(
    runs: Annotated[int, typer.Option(min=1, help="Runs beside those of the sweep.")] = 42,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = 20.0,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with MNIST.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how long the server leaves others waiting."""
    data_dir = (data_dir or (SHARED if SHARED.is_dir() else ROOT / "data")).resolve()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        furnish(store, runs)
        sweep = begin(store, data_dir)
        try:
            with served(store) as (url, _), sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=CHROMIUM
                )
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                result = watch(page, url, seconds)
                browser.close()
        finally:
            sweep.send("cancel")
            while sweep.is_alive():
                time.sleep(0.2)
    result |= {"runs": runs + len(BETAS), "cores": os.cpu_count()}
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    for what, found in result.items():
        if isinstance(found, dict):
            print(f"{what:>18}: {found['longest_ms']:.0f} ms at most, {found['p99_ms']:.0f} at p99")


if __name__ == "__main__":
    typer.run(main)
