"""Dragging in Explore, measured in a real browser against the real app.

- From the input event on a slider to the frame with other pixels: the shipped MNIST model and
  decoders of 2 and 9 million weights, on a quiet machine and beside a training run.
- What a hand that moves in every frame costs: processor time of server, browser and worker, and
  the share of its speed that the training keeps.
- From the click in the gallery to Explore's first picture.
- Pictures a second of draggers at once, and the server's memory while they drag on.

How busy the machine was before each part is printed with it: judge the figures by it.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.app import CHROMIUM, ROOT, SIZED, decoder_weights, furnish, served, training
from vae_core.runs import Job, Run, Store, layout

PICTURE = '[data-testid="decoded-image"].drawn'


def _function(name: str) -> str:
    """What a script beside this file evaluates to."""
    source = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return source[source.index("async") :].rstrip().removesuffix(";")


MEASURE, HAND = _function("drag_page.js"), _function("drag_hand.js")
PATIENCE_MS = 5000
MNIST_LATENTS = 16
ROUNDS = 3


def latency(browser: Browser, url: str, run: str, events: int) -> dict[str, Any]:
    """Milliseconds from an input event to changed pixels, over `events` of them.

    Raises:
        RuntimeError: when the picture does not follow.
    """
    busy = busy_cores()
    page = explore(browser, url, run)
    # To and fro in large steps, never twice to the same place: a network that has hardly been
    # trained shows small ones in few pixels.
    sides = (2 * (i % 2) - 1 for i in range(events + 10))
    values = [round(side * (1.5 + math.sin(i)), 2) for i, side in enumerate(sides)]
    times = page.evaluate(
        MEASURE,
        {
            **handles(page),
            "values": values,
            "patience": PATIENCE_MS,
        },
    )[10:]
    page.close()
    if None in times:
        raise RuntimeError(f"{times.count(None)} of {events} movements changed no pixel of {run}.")
    figures = {f"p{p}": round(float(np.percentile(times, p)), 1) for p in (50, 95)}
    return {**figures, "max": round(max(times), 1), "events": len(times), "busy_cores": busy}


def explore(browser: Browser, url: str, run: str) -> Page:
    """Explore with a run, at rest."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{url}/explore?run={run}")
    page.locator(PICTURE).wait_for(timeout=60_000)
    page.wait_for_timeout(1500)  # for the filmstrips
    return page


def handles(page: Page) -> dict[str, Any]:
    """The slider that is moved, and the canvas that follows."""
    return {
        "slider": page.get_by_test_id("direction-slider-0").element_handle(),
        "canvas": page.locator(PICTURE).element_handle(),
    }


def hand(
    browser: Browser, url: str, run: str, seconds: float, watched: dict[str, Callable[[], float]]
) -> dict[str, float]:
    """What a hand that moves in every frame sees in a second, and what it costs: how much each of
    `watched` grew in a second."""
    page = explore(browser, url, run)
    handed = handles(page) | {"seconds": seconds}
    started, before = time.perf_counter(), {name: read() for name, read in watched.items()}
    seen = page.evaluate(HAND, handed)
    grown = seen | {name: read() - before[name] for name, read in watched.items()}
    elapsed = time.perf_counter() - started
    page.close()
    return {name: round(amount / elapsed, 2) for name, amount in grown.items()}


def kept(
    browser: Browser, url: str, run: str, trained: Run, seconds: float, watched: dict[str, Any]
) -> dict[str, Any]:
    """The share of its speed that a training keeps beside such a hand, in turns with no page."""
    with_steps = watched | {"steps": lambda: float(trained.status().step)}
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(pace(trained, seconds))
        beside.append(hand(browser, url, run, seconds, with_steps))
    share = statistics.median(each["steps"] for each in beside) / statistics.median(alone)
    return {"kept": round(share, 2), "alone_steps_per_s": alone, "hand_per_s": beside}


def pace(trained: Run, seconds: float) -> float:
    """Steps a second of a training, over so many seconds."""
    started, before = time.perf_counter(), trained.status().step
    time.sleep(seconds)
    return round((trained.status().step - before) / (time.perf_counter() - started), 2)


def opening(browser: Browser, url: str, rounds: int) -> dict[str, Any]:
    """Seconds from the click on "Open in Explore" to the first picture there."""
    busy, seconds = busy_cores(), []
    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.locator(PICTURE).wait_for(timeout=60_000)
        button = page.get_by_role("button", name="Open in Explore").first
        start = time.perf_counter()
        button.click()
        page.locator(f".explorer.full {PICTURE}").wait_for(timeout=60_000)
        seconds.append(round(time.perf_counter() - start, 2))
        page.close()
    return {"seconds": seconds, "worst": max(seconds), "busy_cores": busy}


def draggers(url: str, server: psutil.Process, clients: int, seconds: float) -> dict[str, Any]:
    """What `benchmarks.draggers` measures with the shipped model, in a process of its own."""
    busy = busy_cores()
    socket = f"ws{url.removeprefix('http')}/live/decode/mnist-vae"
    command = [sys.executable, "-m", "benchmarks.draggers", socket, str(MNIST_LATENTS)]
    command += [str(clients), str(seconds)]
    before = cpu_seconds(server)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    cpu_ms = 1e3 * (cpu_seconds(server) - before) / result["pictures"]
    return result | {"server_cpu_ms_a_picture": round(cpu_ms, 2), "busy_cores": busy}


def soak(url: str, server: psutil.Process, clients: int, minutes: float) -> dict[str, Any]:
    """The server's resident memory while draggers come, drag and leave, in MB."""
    rounds = max(3, round(minutes * 4))
    draggers(url, server, clients, 2)  # buffers grow to their size
    memory = [server.memory_info().rss / 1e6]
    for _ in range(rounds):
        draggers(url, server, clients, max(1.0, 60 * minutes / rounds))
        memory.append(server.memory_info().rss / 1e6)
    slope = float(np.polyfit(np.linspace(0, minutes, len(memory)), memory, 1)[0])
    return {
        "minutes": minutes,
        "megabytes": [round(value, 1) for value in memory],
        "growth": round(memory[-1] - memory[0], 1),
        "growth_per_minute": round(slope, 2),
    }


def cpu_seconds(*processes: psutil.Process) -> float:
    """What processes have used up to now; unlike time by the clock, a busy machine changes it
    little."""
    times = [process.cpu_times() for process in processes if process.is_running()]
    return float(sum(each.user + each.system for each in times))


def browsers() -> list[psutil.Process]:
    """The processes of the browser that this one started."""
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if "chrom" in process.name()]


def busy_cores() -> float:
    """Cores that everybody on this machine kept busy during half a second, just now."""
    return round(psutil.cpu_percent(0.5) * (psutil.cpu_count() or 1) / 100, 2)


def measure(
    events: int, clients: int, seconds: float, soak_minutes: float, beside_training: bool
) -> dict[str, Any]:
    """All parts, one after the other; each says on stderr that it begins."""
    with ExitStack() as stack:
        store = Store(stack.enter_context(tempfile.TemporaryDirectory()))
        say("Making runs of 2 and 9 million weights")
        furnish(store)
        runs = ("mnist-vae", *SIZED)
        weights = {run: decoder_weights(store.get(run)) for run in runs}
        url, server = stack.enter_context(served(store))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        stack.callback(browser.close)
        say("Opening Explore from the gallery")
        opened = opening(browser, url, 3)
        quiet, beside, hands, shares = {}, {}, {}, {}
        watched = {
            "server_cpu": lambda: cpu_seconds(server),
            "browser_cpu": lambda: cpu_seconds(*browsers()),
        }
        for run in runs:
            say(f"Dragging {run}")
            quiet[run] = latency(browser, url, run, events)
            hands[run] = hand(browser, url, run, seconds, watched)
        say(f"{clients} draggers at once")
        together = draggers(url, server, clients, seconds)
        say(f"{clients} draggers for {soak_minutes:g} minutes")
        soaked = soak(url, server, clients, soak_minutes)
        if beside_training:
            with training(store) as trained:
                worker = psutil.Process(trained.parse(layout.JOB, Job).pid)
                watched["worker_cpu"] = lambda: cpu_seconds(worker)
                for run in runs:
                    say(f"Dragging {run} beside a training run")
                    beside[run] = latency(browser, url, run, events)
                    shares[run] = kept(browser, url, run, trained, seconds, watched)
    return {
        "decoder_weights": weights,
        "trained": "mnist-vae is shipped; the others took two steps, as the speed is the same",
        "input_to_pixels_ms": {"quiet": quiet, "beside_training": beside},
        "hand_per_s": hands,
        "training_kept": shares,
        "opening_explore_s": opened,
        "draggers": together,
        "soak": soaked,
        "cores": len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("streamlit", "torch", "uvicorn")},
    }


def say(what: str) -> None:
    """Progress, away from the JSON."""
    print(f"{what} …", file=sys.stderr)


def main(
    events: Annotated[int, typer.Option(min=20, help="Movements in each measurement.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="Draggers at once.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="How long they drag.")] = 10,
    soak_minutes: Annotated[float, typer.Option(min=0.1, help="How long memory is watched.")] = 1,
    beside_training: Annotated[
        bool, typer.Option(help="Measure beside a training run too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how closely pictures follow the hand."""
    result = measure(events, clients, seconds, soak_minutes, beside_training)
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    for state, runs in result["input_to_pixels_ms"].items():
        for run, ms in runs.items():
            print(f"{run:>12} {state:>16}: p50 {ms['p50']} ms, p95 {ms['p95']}, max {ms['max']}")
    for run, share in result["training_kept"].items():
        print(
            f"Beside a hand on {run} the training keeps {100 * share['kept']:.0f} % of its speed."
        )
    print(f"Explore opens in {result['opening_explore_s']['worst']} s at worst.")
    rate = result["draggers"]["pictures_per_s_slowest"]
    print(f"The slowest of {clients} draggers sees {rate} pictures a second.")
    print(f"Memory grew by {result['soak']['growth']} MB in {soak_minutes:g} minutes.")


if __name__ == "__main__":
    typer.run(main)
