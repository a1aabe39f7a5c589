"""The server's resident memory: idle, after all pages with all shipped runs, with five people
dragging, and after a large upload.

The real app in a process of its own, the shipped runs copied into a store of its own; psutil reads
its resident set from outside. Of the figures only the upload depends on the size of what is sent.
The load of the machine does not change them.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.app import CHROMIUM, served
from benchmarks.soak import clients, copies
from benchmarks.soak_clients import PAGES
from benchmarks.streamlit_session import visit
from vae_core.runs import Store

SETTLE_S = 3.0
DRAGGERS = 5


def resident(server: psutil.Process) -> float:
    """MB (10⁶ bytes) after a moment's rest."""
    time.sleep(SETTLE_S)
    return round(server.memory_info().rss / 1e6, 1)


def browse(url: str, runs: list[str]) -> None:
    """Every page with every run, in a session each."""
    socket = f"ws{url.removeprefix('http')}/_stcore/stream"
    for run in runs:
        for page in PAGES:
            until = time.monotonic() + 1
            seen = asyncio.run(visit(socket, [page], f"run={run}", until, SETTLE_S, 0))
            if seen.errors:
                raise RuntimeError(f"{page or 'gallery'} of {run}: {seen.errors[0]}")


def archive(path: Path, megabytes: int) -> None:
    """A .zip of two images and of bytes that do not pack, about `megabytes` MB."""
    with zipfile.ZipFile(path, "w") as packed:
        for i in range(2):
            picture = io.BytesIO()
            Image.fromarray(np.full((64, 64, 3), 90 * i, np.uint8)).save(picture, "PNG")
            packed.writestr(f"{i}.png", picture.getvalue())
        for i in range(megabytes):
            packed.writestr(f"{i}.bin", os.urandom(10**6))


def upload(page: Page, file: Path) -> float:
    """Send `file` through the uploader of the page Train; the seconds that it took."""
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name="Your images").click()
    started = time.monotonic()
    page.get_by_test_id("upload-files-input").set_input_files(file)
    page.get_by_test_id("upload-remove").wait_for(timeout=300_000)
    return round(time.monotonic() - started, 1)


def measure(megabytes: int) -> dict[str, Any]:
    """Resident MB of the server at each stage."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ |= {"VAE_DATA": str(folder / "data"), "VAE_CACHE": str(folder / "cache")}
        store = Store(folder / "runs")
        store.path.mkdir()
        runs = copies(store)
        url, server = stack.enter_context(served(store))
        time.sleep(2 * SETTLE_S)  # torch is imported in the background
        found: dict[str, Any] = {"idle": resident(server)}
        browse(url, runs)
        found["after_all_pages_of_all_runs"] = resident(server)
        dragged = asyncio.run(clients(url, DRAGGERS, 0, 10, runs))
        found["five_draggers_of_five_models"] = round(server.memory_info().rss / 1e6, 1)
        found["pictures_dragged"] = len(dragged["raw_ms"])
        found["errors"] = dragged["errors"]
        archive(folder / "large.zip", megabytes)
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = browser.new_page()
        page.goto(f"{url}/train")
        page.get_by_role("button", name="Start training").wait_for(timeout=60_000)
        found["before_the_upload"] = resident(server)
        found["upload_s"] = upload(page, folder / "large.zip")
        found["after_the_upload"] = resident(server)
        browser.close()
    return {"unit": "MB resident", "upload_mb": megabytes, **found}


def main(
    megabytes: Annotated[int, typer.Option(min=1, help="Size of the upload in MB.")] = 400,
) -> None:
    """Measure what the server holds in memory; prints one JSON object."""
    print(json.dumps(measure(megabytes), indent=2))


if __name__ == "__main__":
    typer.run(main)
