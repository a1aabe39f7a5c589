"""From the gallery to a model of one's own images, in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.app import served
from tests.engine import trained
from tests.pictures import pack, png
from vae_core.runs import Store, layout

from .conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


def test_a_zip_is_dropped_started_trained_on_and_started_from(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    packed = pack(tmp_path / "summer holiday.zip", {f"pics/{i}.png": png(i) for i in range(48)})
    store = Store(tmp_path / "runs")
    trained(store.path)
    with served(store) as (url, _):
        page.goto(url)
        page.get_by_role("button", name="Train on your own images").click()
        expect(page.get_by_test_id("upload-state")).to_contain_text("Drop images")
        assert page.get_by_test_id("upload-place").bounding_box()["y"] < 400  # type: ignore[index]
        page.get_by_test_id("upload-files-input").set_input_files(packed)
        reasons = page.get_by_text("Decided from the images: 10 settings")
        expect(reasons).to_be_visible()
        reasons.click()
        expect(page.get_by_text("training images make")).to_be_visible()
        page.get_by_role("spinbutton", name="Epochs").fill("1")
        page.get_by_role("spinbutton", name="Epochs").press("Enter")
        start = page.locator(".st-key-start-training button")
        expect(start).to_be_enabled()
        start.click()
        page.wait_for_url("**/train?run=summer-holiday")
        begun = page.locator('.vm[data-run="summer-holiday"] .vm-head')
        begun.wait_for()
        expect(begun).to_be_in_viewport()  # though Start lies at the end of a long form
        state = page.get_by_test_id("run-state")
        expect(state).to_have_text("finished", timeout=4 * PATIENCE_MS)
        expect(page.locator(".st-key-train-on button").first).to_be_visible()
        run = store.get("summer-holiday")
        assert run.status().state == "finished" and run.has(layout.CHOICES)
        assert "auto" not in json.dumps(run.config().train.model_dump(mode="json"))[:60]

        page.locator(".st-key-train-on button").first.press("Enter")
        page.locator(".st-key-start-train-on button").press("Enter")
        expect(state).to_have_text(re.compile("starting|training"), timeout=2 * PATIENCE_MS)
        expect(state).to_have_text("finished", timeout=4 * PATIENCE_MS)
        assert run.config().train.epochs == 2 and run.config().train.continued_at > 0

        expect(page.locator(".st-key-train-on button").first).to_be_visible()
        page.locator(".st-key-begin-with button").first.click()
        page.locator(".st-key-use-weights button").first.click()
        begun = page.get_by_role("combobox", name="Start from")
        expect(begun).to_have_value("Weights of summer-holiday")
        expect(page.get_by_role("spinbutton", name="Latent dimensions")).to_have_count(0)
        expect(start).to_be_enabled()
