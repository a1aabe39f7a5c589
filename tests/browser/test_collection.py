"""A collection in a real browser: a group is coloured, and a file finds itself."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from vae_core.latent.encodings import load_encodings
from vae_core.runs import Store

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


def test_a_collection_is_looked_through_and_a_file_finds_itself(
    page: Page, app_url: str, store: Store, tmp_path: Path
) -> None:
    page.goto(f"{app_url}/encodings?run=tiny")
    page.get_by_test_id("scatter").wait_for()
    page.get_by_role("tab", name="Collection").click()
    page.get_by_text("Near-duplicates ·").wait_for()  # a process has looked through it
    with page.expect_download() as told:
        page.get_by_role("button", name="All as CSV").click()
    table = io.StringIO(Path(told.value.path()).read_text(encoding="utf-8"))
    rows = list(csv.DictReader(table))
    kept = load_encodings(store.get("tiny"))
    assert len(rows) == len(kept.mu) and {"file", "label", "rarity", "copy_of"} <= rows[0].keys()

    page.get_by_role("tab", name="Search").click()
    Image.fromarray(kept.thumbnails[12, 0]).save(tmp_path / "twelve.png")
    page.get_by_test_id("question-file").set_input_files(tmp_path / "twelve.png")
    page.get_by_text("twelve.png").wait_for()
    with page.expect_download() as told:
        page.get_by_role("button", name="Result as CSV").click()
    found = list(csv.DictReader(io.StringIO(Path(told.value.path()).read_text(encoding="utf-8"))))
    assert len(found) == 24 and found[0]["file"] == rows[12]["file"]
    assert float(found[0]["distance"]) < 1e-3
    assert np.all(np.diff([float(row["distance"]) for row in found]) >= 0)
    (tmp_path / "no.png").write_bytes(b"no picture")
    page.get_by_test_id("question-file").set_input_files(tmp_path / "no.png")
    expect(page.get_by_role("alert").filter(has_text="picture")).to_be_visible()
