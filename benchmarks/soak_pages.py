"""The pages of a soak: Explore in Chromium, a hand on its first slider all the time."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.async_api import Browser, Error, Page, WebSocket, async_playwright

from benchmarks.app import CHROMIUM

PICTURE = '[data-testid="decoded-image"].drawn'
MEASURE = (Path(__file__).parent / "drag_page.js").read_text(encoding="utf-8")
MEASURE = MEASURE[MEASURE.index("async") :].rstrip().removesuffix(";")
A_STRETCH = 20
"""Movements measured in one call, between which the clock is looked at."""
PATIENCE_MS = 5000
"""A movement without a picture after this long is an error."""
ALL_IN_FRONT = [
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
]
"""Each page is somebody's only one; Chromium would slow down those behind another."""


@dataclass
class Watched:
    """What one page lived through; milliseconds from the pointer's event to other pixels."""

    ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: bool = False


async def pages(url: str, runs: list[str], count: int, until: float) -> list[Watched]:
    """`count` pages that drag until the clock of `time.monotonic`, spread over `runs`."""
    if not count:
        return []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*CHROMIUM, *ALL_IN_FRONT]
        )
        step_aside()
        try:
            asked = (_page(browser, url, runs[i % len(runs)], i, until) for i in range(count))
            return list(await asyncio.gather(*asked))
        finally:
            await browser.close()


def step_aside() -> None:
    """Let Chromium have what the server leaves: it draws what a person's own computer would."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):
            if "chrom" in process.name():
                process.nice(10)
                Path(f"/proc/{process.pid}/autogroup").write_text("10")


async def _page(browser: Browser, url: str, run: str, number: int, until: float) -> Watched:
    seen, settled = Watched(), False
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()

    def closed(socket: WebSocket) -> None:
        if settled and time.monotonic() < until:
            seen.lost = True
            seen.errors.append(f"The page lost its socket {socket.url.partition('?')[0]}")

    page.on("pageerror", lambda error: seen.errors.append(f"Script error: {error}"))
    page.on("websocket", lambda socket: socket.on("close", closed))
    try:
        await asyncio.sleep(0.5 * number)
        await page.goto(f"{url}/explore?run={run}", timeout=120_000)
        await page.locator(PICTURE).wait_for(timeout=120_000)
        await page.wait_for_timeout(1500)  # for the filmstrips
        settled, moves = True, 0
        while time.monotonic() < until:
            await _stretch(page, seen, moves)
            moves += A_STRETCH
    except Error as error:
        seen.lost = True
        seen.errors.append(f"The page was lost: {error}"[:300])
    await context.close()
    return seen


async def _stretch(page: Page, seen: Watched, start: int) -> None:
    """Some movements to and fro, never twice to the same place."""
    sides = ((2 * (n % 2) - 1, (n * 7 % 11) / 10) for n in range(start, start + A_STRETCH))
    times = await page.evaluate(
        MEASURE,
        {
            "slider": await page.get_by_test_id("direction-slider-0").element_handle(),
            "canvas": await page.locator(PICTURE).element_handle(),
            "values": [round(side * (1.5 + more), 2) for side, more in sides],
            "patience": PATIENCE_MS,
        },
    )
    seen.ms += [took for took in times if took is not None]
    seen.errors += [f"No other picture within {PATIENCE_MS} ms"] * times.count(None)
