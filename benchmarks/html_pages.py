"""Runs as HTML files, opened from a disk in Chromium: milliseconds from an input event on a slider
to the frame with other pixels, milliseconds that a picture takes to decode, and by how many of 255
levels any pixel differs from the server's.

Every model that comes with the app; how busy the machine was before each is printed with it.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.app import CHROMIUM
from benchmarks.drag import MEASURE, PATIENCE_MS, PICTURE, busy_cores, handles
from latent_workbench.live.models import load_model
from vae_core.export import Source, export
from vae_core.latent.grids import decode_vectors
from vae_core.locations import SHIPPED
from vae_core.models import LatentModel
from vae_core.runs import Run, Store

DECODE = """
async (vectors) => {
  const text = (id) => document.getElementById(id).textContent;
  const worker = new Worker(URL.createObjectURL(new Blob([text("worker")])));
  worker.postMessage(JSON.parse(text("run")).model);
  const pictures = [];
  const times = [];
  for (const { z, told } of vectors) {
    const start = performance.now();
    const answer = new Promise((done) => { worker.onmessage = ({ data }) => done(data); });
    worker.postMessage({ id: 1, z: Float32Array.from(z), told, nearest: 0 });
    pictures.push(Array.from((await answer).pixels));
    times.push(performance.now() - start);
  }
  worker.terminate();
  return { pictures, times };
}
"""
"""In the page: the pictures of latents, decoded by a worker as the page's own is."""


def decoded(page: Page, model: LatentModel, count: int) -> tuple[list[float], int]:
    """Milliseconds for each of `count` draws from the prior, twice as wide, and the largest
    difference of a pixel; a model with a dial is told values of it in turn."""
    generator = torch.Generator().manual_seed(1)
    z = 2 * model.flatten(model.sample_prior(count, generator)).numpy()
    told = np.full(count, -1.0)
    options = {}
    if model.dial is not None:
        told = np.array(model.dial.values(count))
        options = {"dial": told}
    elif model.labels:
        told = np.arange(count) % model.labels
        options = {"labels": told}
    expected = decode_vectors(model, z, **options).transpose(0, 2, 3, 1).astype(int)
    asked = [{"z": row.tolist(), "told": float(t)} for row, t in zip(z, told, strict=True)]
    found = page.evaluate(DECODE, asked)
    pictures = np.array(found["pictures"]).reshape(expected.shape)
    return found["times"], int(np.abs(pictures - expected).max())


def measured(browser: Browser, run: Run, folder: Path, events: int) -> dict[str, Any]:
    """One run: its file, drags, pictures."""
    busy, start = busy_cores(), time.perf_counter()
    (body,) = export(Source(run), "html").files.values()
    seconds = time.perf_counter() - start
    file = folder / f"{run.id}.html"
    file.write_bytes(body)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    start = time.perf_counter()
    page.goto(file.as_uri())
    page.locator(PICTURE).wait_for()
    opened = time.perf_counter() - start
    page.wait_for_timeout(2000)  # the filmstrips
    sides = (2 * (i % 2) - 1 for i in range(events + 10))
    values = [round(side * (1.5 + math.sin(i)), 2) for i, side in enumerate(sides)]
    asked = {**handles(page), "values": values, "patience": PATIENCE_MS}
    drags = [each for each in page.evaluate(MEASURE, asked)[10:] if each is not None]
    times, furthest = decoded(page, load_model(run), 40)
    page.close()
    if errors or len(drags) < events:
        raise RuntimeError(f"{run.id}: {events - len(drags)} movements changed nothing; {errors}")
    found: dict[str, Any] = {
        "bytes": len(body),
        "export_s": round(seconds, 2),
        "open_s": round(opened, 2),
    }
    for name, each in (("drag_ms", drags), ("picture_ms", times[5:])):
        found[name] = {f"p{p}": round(float(np.percentile(each, p)), 1) for p in (50, 95)}
    return {**found, "furthest_level": furthest, "busy_cores": busy}


def main(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Of a store; else those shipped.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Where they lie.")] = SHIPPED,
    events: Annotated[int, typer.Option(help="Movements of a slider for each.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Export each run, open it from the disk, and measure."""
    names = runs or (SHIPPED / "shipped.txt").read_text(encoding="utf-8").split()
    torch.set_num_threads(1)
    machine = {"cores": os.cpu_count(), "system": platform.platform()}
    found: dict[str, Any] = {"machine": machine, "runs": {}}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        found["machine"]["chromium"] = browser.version
        for name in names:
            found["runs"][name] = measured(browser, Store(store).get(name), Path(folder), events)
            if not as_json:
                print(name, found["runs"][name])
        browser.close()
    if as_json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
