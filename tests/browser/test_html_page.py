"""A run as one HTML file, opened from a disk with no server anywhere."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from latent_workbench.live.models import load_model
from tests.commands import vae_core
from vae_core.latent.directions import load_directions
from vae_core.latent.encodings import load_encodings
from vae_core.latent.grids import decode_vectors
from vae_core.locations import SHIPPED
from vae_core.runs import Run

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

CANVAS = '[data-testid="decoded-image"]'
PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return btoa(String.fromCharCode(...data));
}"""
MOST_LEVELS = 2


def shown(page: Page) -> np.ndarray:
    """The picture, one channel of it: [H·W]."""
    text = page.locator(CANVAS).evaluate(PIXELS)
    return np.frombuffer(base64.b64decode(text), np.uint8)[::4].astype(int)


def differs(page: Page, expected: np.ndarray) -> int:
    """By how many levels the picture differs from `expected` once it has followed."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while True:
        furthest = int(np.abs(shown(page) - expected).max())
        if furthest <= MOST_LEVELS or time.monotonic() > end:
            return furthest
        page.wait_for_timeout(50)


def test_a_file_on_a_disk_decodes_as_the_server_does(page: Page, tmp_path: Path) -> None:
    """A drag, A to B, an image and a picture saved; nothing is asked of any network."""
    file = tmp_path / "page.html"
    options = ("--to", "html", "--out", str(file), "--store", str(SHIPPED))
    done = vae_core("export", "mnist-vae", *options)
    assert done.returncode == 0, done.stderr
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    refused: list[str] = []  # by the policy of the page, among others
    page.on("console", lambda said: said.type == "error" and refused.append(said.text))
    page.goto(file.as_uri())
    page.locator(f"{CANVAS}.drawn").wait_for()
    page.locator(".row:last-child .strip canvas.drawn").wait_for()

    run = Run(SHIPPED / "mnist-vae")
    model, encodings = load_model(run), load_encodings(run)
    found = load_directions(run, encodings.step)
    assert found is not None

    def decoded(z: np.ndarray) -> np.ndarray:
        return decode_vectors(model, z[None].astype(np.float32))[0, 0].reshape(-1).astype(int)

    assert differs(page, decoded(found.center)) <= MOST_LEVELS
    slider = page.get_by_test_id("direction-slider-0")
    box = slider.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=6)
    value = float(slider.input_value())
    dragged = decoded(found.center + value * found.deviations[0] * found.vectors[0])
    assert np.abs(dragged - decoded(found.center)).max() > 10 * MOST_LEVELS
    assert differs(page, dragged) <= MOST_LEVELS, "while the button is down"
    page.mouse.up()

    page.get_by_test_id("path-a").click()
    page.get_by_role("button", name="Start from an image of the data").click()
    page.locator("dialog.images .cells button:visible").first.click()
    assert differs(page, decoded(encodings.mu[0])) <= MOST_LEVELS
    page.get_by_test_id("path-b").click()
    page.get_by_test_id("path-scrubber").fill("0")
    assert differs(page, dragged) <= MOST_LEVELS, "back at A"
    assert page.get_by_test_id("whereabouts").inner_text().strip()
    page.get_by_role("button", name="Save the picture").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="The picture, pixel by pixel").click()
    assert saved.value.suggested_filename == "mnist-vae.png"
    outside = [each for each in asked if not each.startswith(("file:", "blob:", "data:"))]
    assert outside == [] and refused == []
