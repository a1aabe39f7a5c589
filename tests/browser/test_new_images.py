"""New images in a real browser: dropped, scored, read in their row, marked among the points."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from vae_core.imaging.png import to_png

from .conftest import PATIENCE_MS
from .test_upload import DROP

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


def test_an_image_that_is_dropped_has_a_row_and_a_place(page: Page, app_url: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1, 16, 16)).astype(np.uint8)
    page.goto(f"{app_url}/encodings?run=tiny")
    page.get_by_test_id("scatter").wait_for()
    page.get_by_role("tab", name="New images").click()
    place = page.get_by_test_id("upload-place")
    place.evaluate(DROP, [["strange.png", list(to_png(noise))]])

    expect(page.get_by_text("1 new image beside")).to_be_visible()
    expect(page.get_by_text("stranger than")).to_be_visible()
    expect(page.get_by_alt_text("where the loss lies")).to_be_visible()
    expect(page.get_by_text("The way to the nearest")).to_be_visible()
    mark = page.get_by_test_id("scatter-marks").locator(".mark.picked")
    expect(mark).to_have_attribute("title", "strange.png")

    with page.expect_download() as download:
        page.get_by_role("button", name="All as CSV").click()
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(io.StringIO(file.read()))
    assert row["file"] == "strange.png" and row["nearest"].startswith("training image ")
    cells = page.locator("[role=gridcell]").filter(has_text="strange.png")
    expect(cells.first).to_be_attached()

    page.get_by_test_id("upload-remove").click()
    expect(page.get_by_test_id("scatter-marks").locator(".mark")).to_have_count(0)
