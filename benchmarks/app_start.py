"""From the command that starts the app to its first page in a browser that was open already.

Goals on a quiet machine: the server answers within 2 s, and the first page's cards stand within 2 s
more. The first live picture comes when torch has been imported. Beside each figure stands the
processor time that the server had used until then, which a busy machine changes less.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from typing import Annotated

import typer
from playwright.sync_api import Browser, sync_playwright

from benchmarks.app import CHROMIUM, served
from benchmarks.drag import PICTURE, busy_cores, cpu_seconds, say
from vae_core.locations import DEFAULT_STORE
from vae_core.runs import Store

STAGES = ("server", "cards", "picture")


def started(store: Store, browser: Browser) -> dict[str, tuple[float, float]]:
    """Seconds from the stage before to each of `STAGES`, and the server's processor time so far."""
    found: dict[str, tuple[float, float]] = {}
    before = time.perf_counter()
    with served(store) as (url, server):
        page = browser.new_page(viewport={"width": 1280, "height": 800})

        def reached(stage: str) -> None:
            nonlocal before
            now = time.perf_counter()
            found[stage] = now - before, cpu_seconds(server)
            before = now

        reached("server")
        page.goto(url, wait_until="commit")
        page.get_by_role("heading", name="Runs").wait_for(timeout=60_000)
        reached("cards")
        page.locator(PICTURE).wait_for(timeout=60_000)
        reached("picture")
        page.close()
    return found


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often it is started.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how long the app takes to start and to show its first page."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Store(folder)
        shutil.copytree(DEFAULT_STORE / "mnist-vae", store.path / "mnist-vae")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        busy, found = [], []
        for number in range(rounds + 1):
            say(f"Start {number}" if number else "A start that is not counted")
            busy.append(busy_cores())
            found.append(started(store, browser))
        browser.close()
    result = {
        stage: {
            "seconds": round(statistics.median(each[stage][0] for each in found[1:]), 2),
            "worst": round(max(each[stage][0] for each in found[1:]), 2),
            "server_cpu_s": round(statistics.median(each[stage][1] for each in found[1:]), 2),
        }
        for stage in STAGES
    }
    if as_json:
        print(json.dumps(result | {"rounds": rounds, "busy_cores": busy[1:]}, indent=2))
        return
    for stage, figures in result.items():
        print(
            f"{stage:>8}: {figures['seconds']} s after the one before, {figures['worst']} at worst"
        )


if __name__ == "__main__":
    typer.run(main)
